package demo

import (
	"crypto/sha256"
	"crypto/subtle"

	"sallyport/mfa"
)

// person is a user of the site.
type person struct{ Username, Name, Phone string }

// Email is where the site reaches the person.
func (p person) Email() string { return p.Username + "@example.com" }

// people are the users. Their phone numbers are kept free for fiction.
func people() []person {
	return []person{
		{"alice", "Alice Archer", "+12025550141"},
		{"bob", "Bob Baker", "+12025550142"},
		{"carol", "Carol Carter", "+12025550143"},
		{"sam", "Sam Sailor", "+12025550144"},
	}
}

// user is what the guard learns about the person.
func (p person) user() mfa.User {
	return mfa.User{ID: p.Username, Name: p.Username, DisplayName: p.Name, Email: p.Email(), Phone: p.Phone}
}

// find returns the person of that name.
func find(username string) (person, bool) {
	for _, p := range people() {
		if p.Username == username {
			return p, true
		}
	}
	return person{}, false
}

// password is everybody's. A real site keeps a slow hash for each.
const password = "demo"

// authenticate returns who gives the right password. An unknown name takes the same steps as a wrong password.
func authenticate(username, given string) (person, bool) {
	p, known := find(username)
	want, got := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(given))
	right := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	return p, known && right
}
