package passkey_test

import (
	"fmt"

	"sallyport/passkey"
)

func ExampleNew() {
	keys, err := passkey.New(passkey.Config{
		RPID:    "example.org",
		RPName:  "Example",
		Origins: []string{"https://example.org", "https://www.example.org"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(keys.Name(), keys.Strength())
	// Output: passkey phishing-resistant
}

// What cannot work is refused before a browser would refuse it.
func ExampleNew_mistake() {
	_, err := passkey.New(passkey.Config{RPID: "example.org", Origins: []string{"https://example.com"}})
	fmt.Println(err != nil)
	// Output: true
}
