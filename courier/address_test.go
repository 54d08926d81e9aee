package courier_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"unicode"

	"sallyport/courier"
	"sallyport/mfa"
)

func noMessage(context.Context, mfa.Message) error { return nil }

func mailCourier() mfa.Courier { return courier.NewTerminal(io.Discard) }

func TestCanonicalMailAddresses(t *testing.T) {
	for name, c := range map[string]struct{ typed, want string }{
		"one that is canonical":           {"alice@example.net", "alice@example.net"},
		"blanks around it":                {"  alice@example.net\n", "alice@example.net"},
		"capitals in the domain":          {"alice@EXAMPLE.Net", "alice@example.net"},
		"capitals before the @":           {"Alice.B+x@example.net", "Alice.B+x@example.net"},
		"letters of other alphabets":      {"jürgen@Exämple.NET", "jürgen@exämple.net"},
		"a letter that looks like a k":    {"alice@ban\u212a.example", "alice@ban\u212a.example"},
		"an i with a dot":                 {"alice@B\u0130G.example", "alice@b\u0130g.example"},
		"a name before it":                {"Alice <alice@example.net>", ""},
		"angle brackets":                  {"<alice@example.net>", ""},
		"two of them":                     {"alice@example.net, bob@example.org", ""},
		"a comment":                       {"alice(home)@example.net", ""},
		"a quoted part":                   {`"alice b"@example.net`, ""},
		"a quoted part without need":      {`"alice"@example.net`, ""},
		"a quoted @":                      {`"a@b"@example.net`, ""},
		"an address of numbers":           {"alice@[127.0.0.1]", ""},
		"a line break within":             {"alice@exam\r\nple.net", ""},
		"a header behind it":              {"alice@example.net\r\nBcc: bob@example.org", ""},
		"a zero byte":                     {"alice\x00@example.net", ""},
		"a blank within":                  {"alice @example.net", ""},
		"a blank without width":           {"al\u200bice@example.net", ""},
		"a mark that turns the direction": {"alice@\u202eten.elpmaxe", ""},
		"a blank that does not break":     {"al\u00a0ice@example.net", ""},
		"bytes that are no text":          {"al\xffice@example.net", ""},
		"nothing":                         {"", ""},
		"no domain":                       {"alice@", ""},
		"no @":                            {"alice", ""},
		"nobody":                          {"@example.net", ""},
		"255 bytes":                       {strings.Repeat("a", 243) + "@example.net", ""},
	} {
		if got, ok := mailCourier().Canonical(c.typed); got != c.want || ok != (c.want != "") {
			t.Errorf("Canonical of %s, %q = %q, %v, want %q", name, c.typed, got, ok, c.want)
		}
	}
}

func TestCanonicalPhoneNumbers(t *testing.T) {
	british := courier.NewPhoneFunc("sms", "GB", nil, noMessage)
	isles := courier.NewPhoneFunc("sms", "", []string{"gb", "IE"}, noMessage)
	anywhere := courier.NewPhoneFunc("sms", "", nil, noMessage)
	for name, c := range map[string]struct {
		courier     mfa.Courier
		typed, want string
	}{
		"one that is canonical":                     {anywhere, "+447400123456", "+447400123456"},
		"one as it is printed":                      {anywhere, " +44 (0)7400 123-456 ", "+447400123456"},
		"digits of another script":                  {anywhere, "+٤٤٧٤٠٠١٢٣٤٥٦", "+447400123456"},
		"a wide plus":                               {anywhere, "＋447400123456", "+447400123456"},
		"the national form":                         {british, "07400 123456", "+447400123456"},
		"the national form with no region":          {anywhere, "07400 123456", ""},
		"another country's where a region is":       {british, "+1 201 555 0123", "+12015550123"},
		"a country of the list":                     {isles, "+353 85 012 3456", "+353850123456"},
		"a country beside the list":                 {isles, "+33 6 12 34 56 78", ""},
		"another country with the same prefix":      {isles, "+44 7797 712345", ""}, // Jersey
		"a premium number":                          {anywhere, "+44 909 879 0123", ""},
		"a premium number of the US":                {anywhere, "+1 900 234 5678", ""},
		"a number that costs its owner":             {anywhere, "+44 800 123 4567", ""},
		"a number of shared cost":                   {anywhere, "+44 845 464 1234", ""},
		"a number that follows a person":            {anywhere, "+44 70 1234 5678", ""},
		"a pager":                                   {anywhere, "+44 76 4012 3456", ""},
		"a satellite phone":                         {anywhere, "+881 6 1234 5678", ""},
		"a number of no country that earns":         {anywhere, "+979 1 2345 6789", ""},
		"a toll-free number of no country":          {anywhere, "+800 1234 5678", ""},
		"an extension":                              {anywhere, "+44 20 7946 0018 x123", ""},
		"an extension behind a hash":                {anywhere, "+44 20 7946 0018#123", ""},
		"an extension behind a semicolon":           {anywhere, "+44 20 7946 0018;ext=123", ""},
		"letters for digits":                        {anywhere, "+1 800 FLOWERS", ""},
		"a service number":                          {british, "999", ""},
		"too few digits":                            {anywhere, "+44 7400", ""},
		"too many digits":                           {anywhere, "+44 7400 123456 789 012", ""},
		"a number that nobody gives out":            {anywhere, "+1 000 000 0000", ""},
		"a country code that there is not":          {anywhere, "+999 123456789", ""},
		"nothing":                                   {anywhere, "", ""},
		"a line break and another number":           {anywhere, "+447400123456\r\n+12015550123", ""},
		"a number behind many blanks":               {anywhere, "+44" + strings.Repeat(" ", 40) + "7400123456", ""},
		"bytes that are no text":                    {anywhere, "+447400123456\xff", ""},
		"a number with another domain to call from": {anywhere, "7400123456;phone-context=+44", ""},
	} {
		if got, ok := c.courier.Canonical(c.typed); got != c.want || ok != (c.want != "") {
			t.Errorf("Canonical of %s, %q = %q, %v, want %q", name, c.typed, got, ok, c.want)
		}
	}
}

func TestAddressesAreThoseOfTheUser(t *testing.T) {
	u := mfa.User{Email: "Alice@EXAMPLE.net", Phone: "07400 123456"}
	if got := mailCourier().Address(u); got != "Alice@example.net" {
		t.Errorf("Address = %q, want Alice@example.net", got)
	}
	if got := courier.NewPhoneFunc("sms", "GB", nil, noMessage).Address(u); got != alice {
		t.Errorf("Address = %q, want %s", got, alice)
	}
	if got := courier.NewPhoneFunc("sms", "", nil, noMessage).Address(u); got != "" {
		t.Errorf("Address without a region = %q, want none", got)
	}
	if got := mailCourier().Address(mfa.User{Email: "nobody"}) + mailCourier().Address(mfa.User{}); got != "" {
		t.Errorf("Address = %q, want none", got)
	}
}

func TestMasksTellTheOwnerAndNobodyElse(t *testing.T) {
	phone := courier.NewPhoneFunc("sms", "", nil, noMessage)
	for _, c := range []struct {
		courier       mfa.Courier
		address, want string
	}{
		{mailCourier(), "alice@example.net", "a•••@example.net"},
		{mailCourier(), "ünal@example.net", "ü•••@example.net"},
		{mailCourier(), "alice", "•••"},
		{phone, "+447400123456", "+44 ••• 56"},
		{phone, "+12015550123", "+1 ••• 23"},
		{phone, "+29022158", "+290 •••"}, // St Helena: five digits, of which two would be a lot
		{phone, "+2908", "•••"},
		{phone, "447400123456", "•••"},
		{phone, "nonsense", "•••"},
	} {
		if got := c.courier.Mask(c.address); got != c.want {
			t.Errorf("Mask(%q) = %q, want %q", c.address, got, c.want)
		}
	}
}

func TestNumbersOfOneRangeAreOneGroup(t *testing.T) {
	phone := courier.NewPhoneFunc("sms", "", nil, noMessage)
	for address, want := range map[string]string{
		"+447400123456": "+44740", "+447400999999": "+44740", "+447500123456": "+44750", "+12015550123": "+1201",
		"+390212345678": "+39021", "+29022158": "+290221", "nonsense": "", "": "", "447400123456": "",
	} {
		if got := phone.Group(address); got != want {
			t.Errorf("Group(%q) = %q, want %q", address, got, want)
		}
	}
}

func FuzzCanonicalMail(f *testing.F) {
	for _, seed := range []string{
		"alice@example.net", " A@B.C ", "jürgen@Exämple.net", `"a"@b`, "a@b\r\nc", "a@\u212a", "<a@b>", "a@b,c@d",
	} {
		f.Add(seed)
	}
	c := mailCourier()
	f.Fuzz(func(t *testing.T, typed string) {
		address, ok := c.Canonical(typed)
		if !ok {
			if address != "" {
				t.Errorf("Canonical(%q) = %q though it is none, want nothing", typed, address)
			}
			return
		}
		if again, ok := c.Canonical(address); !ok || again != address {
			t.Errorf("Canonical(%q) = %q, %v, want it as it is", address, again, ok)
		}
		hidden := func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }
		if len(address) > 254 || strings.Count(address, "@") != 1 || strings.ContainsAny(address, "<>,;\"()") ||
			strings.ContainsFunc(address, hidden) {
			t.Errorf("Canonical(%q) = %q, want one address that can be seen", typed, address)
		}
		if mask := c.Mask(address); strings.Contains(mask, address) {
			t.Errorf("Mask(%q) = %q, want less", address, mask)
		}
	})
}

func FuzzCanonicalPhone(f *testing.F) {
	for _, seed := range []string{
		"+447400123456", "07400 123456", "+1 (201) 555-0123", "+٤٤٧٤٠٠١٢٣٤٥٦", "+390212345678", "#123", "+29022158",
	} {
		f.Add(seed)
	}
	c := courier.NewPhoneFunc("sms", "GB", nil, noMessage)
	f.Fuzz(func(t *testing.T, typed string) {
		address, ok := c.Canonical(typed)
		if !ok {
			if address != "" {
				t.Errorf("Canonical(%q) = %q though it is none, want nothing", typed, address)
			}
			return
		}
		if again, ok := c.Canonical(address); !ok || again != address {
			t.Errorf("Canonical(%q) = %q, %v, want it as it is", address, again, ok)
		}
		digits := strings.TrimPrefix(address, "+")
		if len(digits) != len(address)-1 || len(digits) < 4 || len(digits) > 17 || strings.Trim(digits, "0123456789") != "" {
			t.Errorf("Canonical(%q) = %q, want a plus and digits", typed, address)
		}
		group, mask := c.Group(address), c.Mask(address)
		if !strings.HasPrefix(address, group) || group == "" || strings.Contains(mask, digits) || mask == "•••" {
			t.Errorf("of %q the group is %q and the mask %q, want the beginning and less", address, group, mask)
		}
	})
}
