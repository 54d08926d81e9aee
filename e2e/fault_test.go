package e2e_test

import (
	"strings"
	"testing"
)

// That no other test finds such faults says something only because a tab does see them.
func TestATabSeesWhatGoesWrong(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"a script in the page":           {`<script>window.ran = true</script>`, "Content Security Policy"},
		"a style in the page":            {`<p style="color: red">Red</p>`, "Content Security Policy"},
		"a picture that is missing":      {`<img alt="" src="/missing.png">`, "answer: 404"},
		"a picture of another site":      {`<img alt="" src="https://example.org/x.png">`, "Content Security Policy"},
		"a page that the script refuses": {`<p data-sallyport-signal="not JSON"></p>`, "page error"},
	} {
		t.Run(name, func(t *testing.T) {
			s, b := newSmall(t), newTab(t)
			b.expect("") // all of them
			s.page("/wrong", c.body)
			b.open(s.url + "/wrong")
			b.until(`document.readyState === "complete"`)
			for !b.sees(c.want) { // or the tab's time ends
				eval[bool](b, `true`)
			}
			if eval[bool](b, `Boolean(window.ran)`) {
				t.Error("a script in the page was run")
			}
		})
	}
}

func (b *tab) sees(part string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		if strings.Contains(f, part) {
			return true
		}
	}
	return false
}
