package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// checkRPID checks a domain as browsers write it: lower case, ASCII, no trailing dot.
func checkRPID(id string) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("RPID: %q "+format, append([]any{id}, args...)...)
	}
	switch {
	case id == "":
		return errors.New(`RPID is empty: give the domain of the site, as in "example.org"`)
	case strings.Contains(id, "/"):
		return fail("is not a domain: leave scheme and path out")
	case isIP(id):
		return fail("is an IP address: passkeys need a domain; for a trial use localhost")
	case len(id) > maxName:
		return fail("is longer than a domain can be")
	case id == "localhost":
		return nil
	case !strings.Contains(id, "."):
		return fail("is a public suffix or a local name, which browsers refuse")
	}
	for label := range strings.SplitSeq(id, ".") {
		if !isLabel(label) {
			return fail("is not a domain in lower case: %q cannot be a part of one", label)
		}
	}
	return nil
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	// The last label of a domain is never a number; of what browsers take for an IPv4 address it is.
	last := host[strings.LastIndexByte(host, '.')+1:]
	return err == nil || last != "" && strings.Trim(last, "0123456789") == ""
}

func isLabel(label string) bool {
	return label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-' &&
		strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// checkOrigin returns the host of an origin that is written as browsers write it.
func checkOrigin(origin string) (host string, err error) {
	u, err := url.Parse(origin)
	if err != nil {
		return "", errors.New("it is not an origin")
	}
	host = u.Hostname()
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || host == "":
		return "", errors.New("it is not an origin: give scheme and host")
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(origin, "#"):
		return "", errors.New("it has a path: an origin is scheme, host and port only")
	case u.User != nil:
		return "", errors.New("it names a user")
	case u.Scheme == "http" && !within(host, "localhost"):
		return "", errors.New("it is http: passkeys need https, but on localhost")
	case isIP(host):
		return "", errors.New("its host is an IP address: passkeys need a domain")
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return "", errors.New("it names the default port: leave it out, as browsers do")
	}
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("it is not written as browsers write it: %q cannot be a part of a domain in lower case", label)
		}
	}
	if u.Scheme+"://"+u.Host != origin || strings.HasSuffix(u.Host, ":") {
		return "", errors.New("it is not written as browsers write it")
	}
	return host, nil
}

// within reports whether host is domain or below it.
func within(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

func checkApp(origin string) error {
	hash, ok := strings.CutPrefix(origin, "android:apk-key-hash:")
	if b, err := decodeBase64(hash); !ok || err != nil || len(b) != sha256.Size {
		return fmt.Errorf("want android:apk-key-hash: and the SHA-256 of the signing certificate, as in android:apk-key-hash:%s",
			base64.RawURLEncoding.EncodeToString(make([]byte, sha256.Size)))
	}
	return nil
}

// checkAppID checks what browsers will check again: an AppID is of the same site.
func checkAppID(id, rpID string) error {
	u, err := url.Parse(id)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil:
		return errors.New("it is not an https URL")
	case !within(u.Hostname(), rpID) && !within(rpID, u.Hostname()):
		return fmt.Errorf("its host is neither above nor below %s", rpID)
	case len(id) > maxName:
		return fmt.Errorf("it is longer than %d bytes", maxName)
	}
	return nil
}
