package courier

import (
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"sallyport/mfa"
)

// mailbox is what couriers have in common that reach an e-mail address.
type mailbox struct{}

const maxAddress = 254 // RFC 5321 §4.5.3.1.3, with the errata

// Address implements mfa.Courier.
func (m mailbox) Address(u mfa.User) string {
	address, _ := m.Canonical(u.Email)
	return address
}

// Canonical implements mfa.Courier: an address without a name, its domain in small letters. The part before the @ is
// the business of its server and stays as it is (RFC 5321 §2.4), and so do letters beyond ASCII: whatever a library
// makes of them may be another domain.
func (mailbox) Canonical(typed string) (string, bool) {
	typed = strings.TrimSpace(typed)
	if len(typed) > maxAddress || !utf8.ValidString(typed) || strings.ContainsFunc(typed, isHidden) {
		return "", false
	}
	parsed, err := mail.ParseAddress(typed)
	if err != nil || parsed.Name != "" || strings.ContainsAny(typed, "<>\"(),[]") {
		return "", false
	}
	local, domain, ok := strings.Cut(parsed.Address, "@")
	if !ok || local == "" || domain == "" || strings.Contains(domain, "@") {
		return "", false
	}
	return local + "@" + strings.Map(smallLetter, domain), true
}

// isHidden reports what nobody sees in an address: blanks, controls, marks that turn the direction of writing.
func isHidden(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }

func smallLetter(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// Mask implements mfa.Courier: the first character and the domain.
func (mailbox) Mask(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok {
		return "•••"
	}
	first, _ := utf8.DecodeRuneInString(local)
	return string(first) + "•••@" + domain
}

// phone is what couriers have in common that reach a phone number.
type phone struct {
	region    string   // of numbers in national form, as in "GB"; "": they are refused
	countries []string // whose numbers may be reached; nil: all
}

func newPhone(region string, countries []string) (phone, error) {
	p := phone{region: strings.ToUpper(region)}
	known := phonenumbers.GetSupportedRegions()
	var mistakes []error
	if p.region != "" && !known[p.region] {
		mistakes = append(mistakes, fmt.Errorf("the region %q is not the two letters of a country, as in GB", region))
	}
	if countries != nil && len(countries) == 0 {
		mistakes = append(mistakes, errors.New("Countries is empty: name some, or leave it nil for all"))
	}
	for _, country := range countries {
		p.countries = append(p.countries, strings.ToUpper(country))
		if !known[strings.ToUpper(country)] {
			mistakes = append(mistakes, fmt.Errorf("the country %q is not two letters, as in GB", country))
		}
	}
	return p, errors.Join(mistakes...)
}

// Address implements mfa.Courier.
func (p phone) Address(u mfa.User) string {
	address, _ := p.Canonical(u.Phone)
	return address
}

// maxNumber is how much somebody may type for a phone number, in bytes.
const maxNumber = 40

// Canonical implements mfa.Courier: the number as E.164 writes it, if it can be one of a phone that receives messages.
func (p phone) Canonical(typed string) (string, bool) {
	typed = strings.TrimSpace(typed)
	if len(typed) > maxNumber || !utf8.ValidString(typed) || strings.ContainsFunc(typed, unicode.IsLetter) {
		return "", false
	}
	number, err := phonenumbers.Parse(typed, p.region)
	if err != nil || !phonenumbers.IsValidNumber(number) || number.GetExtension() != "" {
		return "", false
	}
	country := phonenumbers.GetRegionCodeForNumber(number)
	if isDear(number, country) || p.countries != nil && !slices.Contains(p.countries, country) {
		return "", false
	}
	return phonenumbers.Format(number, phonenumbers.E164), true
}

// nowhere is what the library calls the country of satellite phones and other networks without one.
const nowhere = "001"

// isDear reports numbers that are no person's phone, or by which whoever owns them earns.
func isDear(number *phonenumbers.PhoneNumber, country string) bool {
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.TOLL_FREE, phonenumbers.PERSONAL_NUMBER,
		phonenumbers.UAN, phonenumbers.PAGER, phonenumbers.VOICEMAIL:
		return true
	}
	return country == nowhere
}

// Mask implements mfa.Courier: the country code, and the last two digits where enough others are left to guess.
func (phone) Mask(address string) string {
	country, national, ok := split(address)
	switch {
	case !ok:
		return "•••"
	case len(national) < shortNumber:
		return "+" + country + " •••"
	}
	return "+" + country + " ••• " + national[len(national)-2:]
}

const (
	shortNumber = 7 // digits, without the country code: a number below is hidden whole
	groupDigits = 3 // of a national number make a range
)

// Group implements mfa.Grouper: the numbers of one operator's range are counted together, since whoever earns by
// messages has many numbers of one range.
func (phone) Group(address string) string {
	country, national, ok := split(address)
	if !ok {
		return ""
	}
	return "+" + country + national[:min(len(national), groupDigits)]
}

// split takes a number in E.164 form apart.
func split(address string) (country, national string, ok bool) {
	number, err := phonenumbers.Parse(address, "")
	if err != nil {
		return "", "", false
	}
	country = strconv.Itoa(int(number.GetCountryCode()))
	national, ok = strings.CutPrefix(address, "+"+country)
	return country, national, ok
}
