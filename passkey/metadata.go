package passkey

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
)

// maxBlob bounds what is read at all.
const maxBlob = 64 << 20

// Metadata is what the FIDO Alliance publishes about models of authenticators (Metadata Service 3): roots of trust,
// certifications, names, and which models were found to be broken. It is safe for use by many goroutines; a nil
// Metadata knows nothing.
type Metadata struct {
	roots []*x509.Certificate // nil: the FIDO Alliance's
	blob  atomic.Pointer[blob]
}

// blob is one issue of the metadata, verified.
type blob struct {
	serial int
	next   time.Time
	all    *metadata.Metadata
	unread map[string]bool // AAGUIDs of models whose entry could not be read

	lenient, strict metadata.ExtendedProvider // strict refuses models that are not known
}

// LoadMetadata verifies a blob as it is published at https://mds3.fidoalliance.org and returns what is in it. Roots are
// for blobs that somebody else signs; none: the root of the FIDO Alliance. Revocation lists of the certificates that
// sign the blob are not fetched: nothing here reads the network.
func LoadMetadata(r io.Reader, now time.Time, roots ...*x509.Certificate) (*Metadata, error) {
	m := &Metadata{roots: slices.Clone(roots)}
	if err := m.Refresh(r, now); err != nil {
		return nil, err
	}
	return m, nil
}

// Refresh replaces the metadata by a newer blob; the same one again is no error. A blob that is broken, expired or
// older is an error, and what was loaded before stays.
func (m *Metadata) Refresh(r io.Reader, now time.Time) error {
	text, err := io.ReadAll(io.LimitReader(r, maxBlob+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the metadata of authenticators: %w", err)
	case len(text) > maxBlob:
		return fmt.Errorf("the metadata of authenticators has more than %d bytes", maxBlob)
	}
	b, err := m.parse(text, now)
	if err != nil {
		return fmt.Errorf("the metadata of authenticators: %w", err)
	}
	for {
		old := m.blob.Load()
		if old != nil && b.serial < old.serial {
			return fmt.Errorf("the metadata of authenticators has serial number %d, and %d is loaded", b.serial, old.serial)
		}
		if m.blob.CompareAndSwap(old, b) {
			return nil
		}
	}
}

// Source opens a blob, for instance by a GET of https://mds3.fidoalliance.org. What it returns is closed.
type Source func(context.Context) (io.ReadCloser, error)

// patience is how long Follow waits for a Source.
const patience = 5 * time.Minute

// Follow calls Refresh with what source opens, at once and then each time after every has passed, until ctx is over. A
// try that fails is told to report, and what was loaded before stays; the next one is made at its time. The blob
// changes about once a month, so once a day is often enough.
func (m *Metadata) Follow(ctx context.Context, source Source, every time.Duration, report func(error)) {
	for ctx.Err() == nil {
		if err := m.fetch(ctx, source); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}

func (m *Metadata) fetch(ctx context.Context, source Source) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := source(ctx)
	if err != nil {
		return fmt.Errorf("fetching the metadata of authenticators: %w", err)
	}
	return errors.Join(m.Refresh(r, time.Now()), r.Close())
}

// Serial returns the number of the blob that is loaded.
func (m *Metadata) Serial() int { return m.blob.Load().serial }

// NextUpdate returns by when the next blob is due, at the latest.
func (m *Metadata) NextUpdate() time.Time { return m.blob.Load().next }

func (m *Metadata) parse(text []byte, now time.Time) (*blob, error) {
	payload, err := verifyJWS(text, m.roots, now)
	if err != nil {
		return nil, err
	}
	var list struct {
		Number     int               `json:"no"`
		NextUpdate string            `json:"nextUpdate"`
		Entries    []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(payload, &list); err != nil {
		return nil, fmt.Errorf("the payload: %w", err)
	}
	next, err := time.Parse(time.DateOnly, list.NextUpdate)
	switch {
	case err != nil:
		return nil, fmt.Errorf("nextUpdate: %w", err)
	case list.Number <= 0 || len(list.Entries) == 0:
		return nil, errors.New("there is no serial number, or no entry")
	case expired(next, now):
		return nil, fmt.Errorf("it expired on %s", list.NextUpdate)
	}
	b := &blob{serial: list.Number, next: next, all: &metadata.Metadata{}, unread: map[string]bool{}}
	for _, raw := range list.Entries {
		b.add(raw)
	}
	if b.lenient, err = b.provide(false); err == nil {
		b.strict, err = b.provide(true)
	}
	return b, err
}

// add takes one entry in. Of a model whose entry cannot be read it is not known whether it was found to be broken.
func (b *blob) add(raw json.RawMessage) {
	var entry metadata.EntryJSON
	err := json.Unmarshal(raw, &entry)
	if err == nil {
		var parsed metadata.Entry
		if parsed, err = entry.Parse(); err == nil {
			b.all.Parsed.Entries = append(b.all.Parsed.Entries, parsed)
			return
		}
	}
	var model struct {
		AAGUID string `json:"aaguid"`
	}
	if json.Unmarshal(raw, &model) == nil && model.AAGUID != "" {
		b.unread[model.AAGUID] = true
	}
}

// expired reports whether the day of the next update is over.
func expired(next, now time.Time) bool { return !now.Before(next.AddDate(0, 0, 1)) }

func (b *blob) provide(strict bool) (metadata.ExtendedProvider, error) {
	p, err := memory.New(
		memory.WithMetadata(b.all.ToMap()),
		memory.WithMetadataKeyIdentifiers(b.all.ToKeyIdentifierMap()),
		memory.WithValidateEntryKeyIdentifier(true),
		memory.WithValidateEntry(strict),
		memory.WithValidateAAGUID(true),
		memory.WithValidateStatus(false), // see assess: at the time of the attempt
	)
	if err != nil {
		return nil, err
	}
	extended, ok := p.(metadata.ExtendedProvider)
	if !ok {
		return nil, errors.New("models without AAGUID cannot be looked up")
	}
	return extended, nil
}

// provider returns what statements are verified with; nil if nothing is known.
func (m *Metadata) provider(strict bool) metadata.Provider {
	if m == nil {
		return nil
	}
	if strict {
		return m.blob.Load().strict
	}
	return m.blob.Load().lenient
}

// stale reports whether a newer blob is due.
func (m *Metadata) stale(now time.Time) bool { return m == nil || expired(m.blob.Load().next, now) }

// name returns what a model is called, or "".
func (m *Metadata) name(id [16]byte) string {
	if m == nil || id == [16]byte{} {
		return ""
	}
	if e, err := m.blob.Load().lenient.GetEntry(context.Background(), id); err == nil && e != nil {
		return e.MetadataStatement.Description
	}
	return ""
}

// entry returns what is known of a model: by AAGUID or, of U2F keys, by the key of their certificate.
func (m *Metadata) entry(id [16]byte, certificates []*x509.Certificate) (*metadata.Entry, error) {
	if m == nil {
		return nil, nil
	}
	p, ctx := m.blob.Load().lenient, context.Background()
	if e, err := p.GetEntry(ctx, id); err != nil || e != nil {
		return e, err
	}
	if id != [16]byte{} || len(certificates) == 0 {
		return nil, nil
	}
	for _, key := range keyIdentifiers(certificates[0]) {
		if e, err := p.GetEntryByKeyIdentifier(ctx, key); err != nil || e != nil {
			return e, err
		}
	}
	return nil, nil
}

// keyIdentifiers returns those of RFC 5280 §4.2.1.2 by which U2F keys are listed.
func keyIdentifiers(c *x509.Certificate) (list []string) {
	if len(c.SubjectKeyId) > 0 {
		list = append(list, hex.EncodeToString(c.SubjectKeyId))
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err == nil {
		sum := sha1.Sum(info.Key.Bytes) // a name, not a protection
		list = append(list, hex.EncodeToString(sum[:]))
	}
	return list
}

// assess refuses models that are known to be broken, and those below a level.
func (m *Metadata) assess(id [16]byte, certificates []*x509.Certificate, least Level, now time.Time) error {
	if m != nil && m.blob.Load().unread[uuid(id)] {
		return fmt.Errorf("what the metadata says about the model %s cannot be read", uuid(id))
	}
	e, err := m.entry(id, certificates)
	if err != nil {
		return fmt.Errorf("looking up the model %s: %w", uuid(id), err)
	}
	if e == nil {
		if least > 0 {
			return fmt.Errorf("the model %s is not known", uuid(id))
		}
		return nil
	}
	broken := metadata.DefaultUndesiredAuthenticatorStatuses()
	if err := metadata.ValidateStatusReportsAt(e.StatusReports, nil, broken, now); err != nil {
		return fmt.Errorf("the model %s is not accepted: %w", uuid(id), err)
	}
	if level := certified(e.StatusReports, now); level < least {
		return fmt.Errorf("the model %s is certified at level %d of 6, want %d", uuid(id), level, least)
	}
	return nil
}

// levelOf returns the level that a status speaks of, and whether it speaks of certification at all.
func levelOf(status metadata.AuthenticatorStatus) (Level, bool) {
	switch status {
	case metadata.NotFidoCertified, metadata.SelfAssertionSubmitted:
		return 0, true
	case metadata.FidoCertified, metadata.FidoCertifiedL1:
		return Level1, true
	case metadata.FidoCertifiedL1plus:
		return Level1Plus, true
	case metadata.FidoCertifiedL2:
		return Level2, true
	case metadata.FidoCertifiedL2plus:
		return Level2Plus, true
	case metadata.FidoCertifiedL3:
		return Level3, true
	case metadata.FidoCertifiedL3plus:
		return Level3Plus, true
	}
	return 0, false
}

// certified returns the level of the report in effect that speaks of certification, the current one of several.
func certified(reports []metadata.StatusReport, now time.Time) Level {
	var about []metadata.StatusReport
	for _, r := range reports {
		if _, ok := levelOf(r.Status); ok {
			about = append(about, r)
		}
	}
	current := metadata.CurrentStatusReportAt(about, now)
	if current == nil {
		return 0
	}
	level, _ := levelOf(current.Status)
	return level
}
