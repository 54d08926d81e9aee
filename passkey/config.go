package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	_ "embed"
)

// Config tells a Method about the site. RPID and Origins are required.
type Config struct {
	// RPID is the domain that passkeys are scoped to, as in "example.org": the host of each origin or a parent of it.
	// It can never be changed later without leaving the passkeys that exist behind; see Method.Orphaned. Public
	// suffixes of several labels ("co.uk") are not known here; browsers refuse them.
	RPID string

	// Abandoned are RP IDs of earlier days that were given up on. Passkeys that are left under them work no longer, and a
	// site whose users have some starts all the same.
	Abandoned []string

	// RPName is what browsers call the site. Default: RPID.
	RPName string

	// Origins are where the site's pages are: "https://example.org", with a port if it is not the default one. Plain
	// http is accepted for localhost only. Answers from elsewhere are refused; the comparison is of every byte.
	Origins []string

	// RelatedOrigins are other sites that may use these passkeys (WebAuthn Level 3 §5.11). Browsers read them from
	// /.well-known/webauthn at the RP ID, which Method.RelatedOrigins is for; they must not have more than five
	// different names.
	RelatedOrigins []string

	// AppOrigins are native apps, as "android:apk-key-hash:" with the SHA-256 of the signing certificate.
	AppOrigins []string

	// EmbeddedIn are sites that may show the site's pages in a frame and use passkeys there. None: in no frame of
	// another site. Frames must be allowed by the pages' own headers too.
	EmbeddedIn []string

	// RequireVerified refuses answers for which nobody gave a PIN, a finger or a face. Default: it is preferred, and
	// each proof says whether it was so.
	RequireVerified bool

	// AppID is under which U2F keys of an older system were registered, an https URL. "": there are none.
	AppID string

	// Hints are which authenticators to offer first: "security-key", "client-device", "hybrid".
	Hints []string

	// Attestation is whether new credentials must say where they come from. Default: nobody is asked.
	Attestation Attestation

	// Models are which models of authenticators may be enrolled. It needs Attestation to be Direct. The zero value
	// accepts all.
	Models Models

	// Metadata describes models of authenticators. It gives names, and with Attestation Direct roots of trust,
	// certifications, and which models were found to be broken. Nil: none.
	Metadata *Metadata
}

// Method is WebAuthn as an mfa.Method, mfa.Enroller, mfa.Identifier and mfa.Unguessable. Its method Begin can be called
// without a user; see the package comment. It is safe for use by many goroutines.
type Method struct {
	c         Config
	origins   []string // Origins and RelatedOrigins
	documents wellKnown
	names     map[string]string // by AAGUID
}

//go:embed aaguid-names.json
var aaguidNames []byte

// New checks the configuration, all mistakes at once.
func New(c Config) (*Method, error) {
	if c.RPName == "" {
		c.RPName = c.RPID
	}
	// Lists are the caller's.
	for _, list := range []*[]string{&c.Origins, &c.RelatedOrigins, &c.AppOrigins, &c.EmbeddedIn, &c.Hints, &c.Abandoned} {
		*list = slices.Clone(*list)
	}
	c.Models = c.Models.clone()
	if err := errors.Join(c.mistakes()...); err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	m := &Method{c: c, origins: slices.Concat(c.Origins, c.RelatedOrigins)}
	m.documents.Origins = m.origins
	var known struct {
		Names map[string]string `json:"names"`
	}
	if err := json.Unmarshal(aaguidNames, &known); err != nil {
		return nil, fmt.Errorf("passkey: names of authenticators: %w", err)
	}
	m.names = known.Names
	return m, nil
}

func (c Config) mistakes() (list []error) {
	rpErr := checkRPID(c.RPID)
	list = append(list, rpErr)
	if len(c.Origins) == 0 {
		list = append(list, errors.New(`no Origins: give where the site's pages are, as in "https://example.org"`))
	}
	for _, origin := range c.Origins {
		host, err := checkOrigin(origin)
		if err == nil && rpErr == nil && !within(host, c.RPID) {
			err = fmt.Errorf("its host is not %s or below it", c.RPID)
		}
		list = append(list, named("Origins", origin, err))
	}
	list = append(list, c.otherOrigins()...)
	if c.AppID != "" {
		list = append(list, named("AppID", c.AppID, checkAppID(c.AppID, c.RPID)))
	}
	for _, hint := range c.Hints {
		if !slices.Contains([]string{"security-key", "client-device", "hybrid"}, hint) {
			list = append(list, fmt.Errorf("Hints: %q is not one of security-key, client-device, hybrid", hint))
		}
	}
	return append(list, c.attestationMistakes()...)
}

func (c Config) otherOrigins() (list []error) {
	for _, origin := range c.RelatedOrigins {
		_, err := checkOrigin(origin)
		list = append(list, named("RelatedOrigins", origin, err))
	}
	if errors.Join(list...) == nil && len(c.RelatedOrigins) > 0 {
		if _, err := protocol.NewRelatedOrigins(slices.Concat(c.Origins, c.RelatedOrigins)...); err != nil {
			list = append(list, fmt.Errorf("of RelatedOrigins browsers read at most %d different names: %w",
				protocol.MaximumRelatedOriginLabels, err))
		}
	}
	for _, origin := range c.EmbeddedIn {
		_, err := checkOrigin(origin)
		list = append(list, named("EmbeddedIn", origin, err))
	}
	for _, origin := range c.AppOrigins {
		list = append(list, named("AppOrigins", origin, checkApp(origin)))
	}
	return list
}

func (c Config) attestationMistakes() (list []error) {
	if c.Attestation != None && c.Attestation != Direct {
		list = append(list, fmt.Errorf("Attestation: %q is not known: give None or Direct", c.Attestation))
	}
	if !c.Models.any() && c.Attestation != Direct {
		list = append(list, errors.New("Models is set, but without Attestation Direct no authenticator proves its model"))
	}
	if c.Models.needsMetadata() && c.Metadata == nil {
		list = append(list, errors.New("Models needs Metadata: see LoadMetadata"))
	}
	return append(list, c.Models.mistakes()...)
}

func named(field, value string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %q: %w", field, value, err)
}
