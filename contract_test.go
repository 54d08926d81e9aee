package sallyport_test

import (
	"regexp"
	"time"
)

// minute is longer than a code of an app lives.
const minute = time.Minute

var newTabLink = regexp.MustCompile(`<a class="button" href="([^"]*)" target="_blank" rel="noopener">`)
