package courier

import (
	"net/mail"
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
// the business of its server and stays as it is (RFC 5321 §2.4).
func (mailbox) Canonical(typed string) (string, bool) {
	typed = strings.TrimSpace(typed)
	if len(typed) > maxAddress || !utf8.ValidString(typed) || strings.ContainsFunc(typed, unicode.IsControl) {
		return "", false
	}
	parsed, err := mail.ParseAddress(typed)
	if err != nil || parsed.Name != "" || strings.ContainsAny(typed, "<>\"(), ") {
		return "", false
	}
	local, domain, _ := strings.Cut(parsed.Address, "@")
	if local == "" || domain == "" || strings.Contains(domain, "@") || strings.ContainsAny(domain, "[]") {
		return "", false
	}
	return local + "@" + strings.ToLower(domain), true
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

// Address implements mfa.Courier.
func (p phone) Address(u mfa.User) string {
	address, _ := p.Canonical(u.Phone)
	return address
}

// Canonical implements mfa.Courier: the number as E.164 writes it, if it can be one of a phone that receives messages.
func (p phone) Canonical(typed string) (string, bool) {
	typed = strings.TrimSpace(typed)
	if len(typed) > 40 || strings.ContainsFunc(typed, unicode.IsLetter) {
		return "", false
	}
	number, err := phonenumbers.Parse(typed, p.region)
	if err != nil || !phonenumbers.IsValidNumber(number) || number.GetExtension() != "" {
		return "", false
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.UAN, phonenumbers.PAGER, phonenumbers.VOICEMAIL,
		phonenumbers.TOLL_FREE:
		return "", false
	}
	if p.countries != nil && !containsFold(p.countries, phonenumbers.GetRegionCodeForNumber(number)) {
		return "", false
	}
	return phonenumbers.Format(number, phonenumbers.E164), true
}

func containsFold(list []string, s string) bool {
	for _, v := range list {
		if strings.EqualFold(v, s) {
			return true
		}
	}
	return false
}

// Mask implements mfa.Courier: the country code and the last two digits.
func (phone) Mask(address string) string {
	number, err := phonenumbers.Parse(address, "")
	if err != nil || len(address) < 6 {
		return "•••"
	}
	return "+" + itoa(number.GetCountryCode()) + " ••• " + address[len(address)-2:]
}

// Group implements mfa.Grouper: the numbers of one operator's range are counted together, since whoever earns by
// messages has many numbers of one range.
func (phone) Group(address string) string {
	number, err := phonenumbers.Parse(address, "")
	if err != nil {
		return ""
	}
	country := itoa(number.GetCountryCode())
	return "+" + country + address[min(len(address), 1+len(country)):min(len(address), 1+len(country)+groupDigits)]
}

// groupDigits of a national number make a range.
const groupDigits = 3

func itoa(n int32) string { return strconv.Itoa(int(n)) }
