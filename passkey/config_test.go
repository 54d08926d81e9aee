package passkey_test

import (
	"strings"
	"testing"

	"sallyport/passkey"
)

// Each mistake is found, and named by its field.
func TestMistakesOfTheConfiguration(t *testing.T) {
	meta, _ := known(t)
	related := func(origins ...string) func(*passkey.Config) {
		return func(c *passkey.Config) { c.RelatedOrigins = origins }
	}
	for _, test := range []struct {
		name   string
		change func(*passkey.Config)
		word   string
	}{
		{"no RP ID", func(c *passkey.Config) { c.RPID = "" }, "RPID"},
		{"an RP ID with a scheme", func(c *passkey.Config) { c.RPID = site }, "RPID"},
		{"an RP ID with a port", func(c *passkey.Config) { c.RPID = "example.org:443" }, "RPID"},
		{"an RP ID in upper case", func(c *passkey.Config) { c.RPID = "Example.org" }, "RPID"},
		{"an RP ID with a dot at its end", func(c *passkey.Config) { c.RPID = "example.org." }, "RPID"},
		{"an RP ID that is an address", func(c *passkey.Config) { c.RPID = "192.0.2.1" }, "IP address"},
		{"an RP ID that is an address of IPv6", func(c *passkey.Config) { c.RPID = "[::1]" }, "IP address"},
		{"an RP ID that browsers take for an address", func(c *passkey.Config) { c.RPID = "example.1" }, "IP address"},
		{"an RP ID of one label", func(c *passkey.Config) { c.RPID = "org" }, "RPID"},
		{"an RP ID that is not ASCII", func(c *passkey.Config) { c.RPID = "exämple.org" }, "RPID"},
		{"an RP ID that is too long", func(c *passkey.Config) { c.RPID = strings.Repeat("a.", 127) + "org" }, "RPID"},
		{"no origin", func(c *passkey.Config) { c.Origins = nil }, "Origins"},
		{"an origin of another site", func(c *passkey.Config) { c.Origins = []string{"https://example.net"} }, "Origins"},
		{"an origin that only ends alike", func(c *passkey.Config) {
			c.Origins = []string{"https://notexample.org"}
		}, "Origins"},
		{"an origin with a path", func(c *passkey.Config) { c.Origins = []string{site + "/"} }, "Origins"},
		{"an origin with a query", func(c *passkey.Config) { c.Origins = []string{site + "?"} }, "Origins"},
		{"an origin with a fragment", func(c *passkey.Config) { c.Origins = []string{site + "#"} }, "Origins"},
		{"an origin with a user", func(c *passkey.Config) { c.Origins = []string{"https://me@example.org"} }, "Origins"},
		{"an origin with the default port", func(c *passkey.Config) { c.Origins = []string{site + ":443"} }, "Origins"},
		{"an origin with an empty port", func(c *passkey.Config) { c.Origins = []string{site + ":"} }, "Origins"},
		{"an origin in upper case", func(c *passkey.Config) { c.Origins = []string{"https://EXAMPLE.org"} }, "Origins"},
		{"an origin of plain http", func(c *passkey.Config) { c.Origins = []string{"http://example.org"} }, "Origins"},
		{"an origin without a scheme", func(c *passkey.Config) { c.Origins = []string{"example.org"} }, "Origins"},
		{"an origin of another scheme", func(c *passkey.Config) { c.Origins = []string{"ftp://example.org"} }, "Origins"},
		{"an origin that is null", func(c *passkey.Config) { c.Origins = []string{"null"} }, "Origins"},
		{"a related origin with a path", related("https://example.net/x"), "RelatedOrigins"},
		{"related origins of too many names", related("https://a.com", "https://b.com", "https://c.com", "https://d.com",
			"https://e.com"), "RelatedOrigins"},
		{"a frame of no origin", func(c *passkey.Config) { c.EmbeddedIn = []string{"*"} }, "EmbeddedIn"},
		{"an app without a hash", func(c *passkey.Config) { c.AppOrigins = []string{"android:apk-key-hash:"} }, "AppOrigins"},
		{"an app with a hash in hex", func(c *passkey.Config) {
			c.AppOrigins = []string{"android:apk-key-hash:" + strings.Repeat("ab", 32)}
		}, "AppOrigins"},
		{"an app of another kind", func(c *passkey.Config) { c.AppOrigins = []string{"ios:bundle:x"} }, "AppOrigins"},
		{"an AppID of plain http", func(c *passkey.Config) { c.AppID = "http://example.org/app" }, "AppID"},
		{"an AppID of another site", func(c *passkey.Config) { c.AppID = "https://example.net/app" }, "AppID"},
		{"an AppID that is too long", func(c *passkey.Config) { c.AppID = site + "/" + strings.Repeat("a", 254) }, "AppID"},
		{"a hint that nobody knows", func(c *passkey.Config) { c.Hints = []string{"phone"} }, "Hints"},
		{"an attestation that nobody knows", func(c *passkey.Config) { c.Attestation = "enterprise" }, "Attestation"},
		{"models without attestation", func(c *passkey.Config) { c.Models.Known, c.Metadata = true, meta }, "Models"},
		{"models to refuse without attestation", func(c *passkey.Config) { c.Models.Not = []string{modelName} }, "Models"},
		{"known models without metadata", func(c *passkey.Config) { direct(c); c.Models.Known = true }, "Metadata"},
		{"a level without metadata", func(c *passkey.Config) { direct(c); c.Models.MinLevel = passkey.Level1 }, "Metadata"},
		{"a list of no models", judgedBy(meta, passkey.Models{Only: []string{}}), "Only"},
		{"a level that there is not", judgedBy(meta, passkey.Models{MinLevel: passkey.Level3Plus + 1}), "MinLevel"},
		{"a negative level", judgedBy(meta, passkey.Models{MinLevel: -1}), "MinLevel"},
		{"a model in upper case", judgedBy(meta, passkey.Models{Only: []string{strings.ToUpper(modelName)}}), "AAGUID"},
		{"a model without dashes", judgedBy(meta, passkey.Models{
			Not: []string{strings.ReplaceAll(modelName, "-", "")},
		}), "AAGUID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := passkey.Config{RPID: domain, Origins: []string{site}}
			test.change(&c)
			if _, err := passkey.New(c); err == nil || !strings.Contains(err.Error(), test.word) {
				t.Errorf("New = %v, want an error with %q", err, test.word)
			}
		})
	}
}

func TestAllMistakesOfTheConfigurationAreToldAtOnce(t *testing.T) {
	_, err := passkey.New(passkey.Config{
		RPID: "org", Origins: []string{"http://example.org"}, Hints: []string{"x"}, AppID: "x", Attestation: "x",
	})
	for _, word := range []string{"RPID", "Origins", "Hints", "AppID", "Attestation"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("New = %v, want an error with %q", err, word)
		}
	}
}

func TestConfigurationsThatWork(t *testing.T) {
	for name, change := range map[string]func(*passkey.Config){
		"localhost": func(c *passkey.Config) {
			c.RPID, c.Origins = "localhost", []string{"http://localhost:8080", "http://site.localhost"}
		},
		"a domain and those below it": func(c *passkey.Config) {
			c.Origins = []string{site, "https://login.example.org", "https://a.b.example.org:8443"}
		},
		"an AppID above the RP ID": func(c *passkey.Config) {
			c.RPID, c.Origins, c.AppID = "login.example.org", []string{"https://login.example.org"}, appID
		},
		"related origins of one name": func(c *passkey.Config) {
			c.RelatedOrigins = []string{"https://example.net", "https://example.com", "https://example.co.uk"}
		},
		"a name in Punycode": func(c *passkey.Config) {
			c.RPID, c.Origins = "xn--exmple-cua.org", []string{"https://xn--exmple-cua.org"}
		},
		"an app":      func(c *passkey.Config) { c.AppOrigins = []string{app} },
		"hints":       func(c *passkey.Config) { c.Hints = []string{"security-key", "client-device", "hybrid"} },
		"attestation": direct,
	} {
		t.Run(name, func(t *testing.T) {
			c := passkey.Config{RPID: domain, Origins: []string{site}}
			change(&c)
			if _, err := passkey.New(c); err != nil {
				t.Errorf("New = %v, want no error", err)
			}
		})
	}
}

// Who changes the lists after New changes nothing.
func TestTheConfigurationIsCopied(t *testing.T) {
	origins := []string{site}
	m := newMethod(t, func(c *passkey.Config) { c.Origins = origins })
	origins[0] = "https://evil.example"
	refuse(t, m, "the origin that was put in later", says("origin", "https://evil.example"))
}
