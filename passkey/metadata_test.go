package passkey_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// publisher signs metadata as the FIDO Alliance does.
type publisher struct {
	*mfatest.Attester
}

func newPublisher(t testing.TB, change func(*x509.Certificate)) publisher {
	t.Helper()
	a, err := mfatest.NewAttester("fido-u2f", [16]byte{}, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "Metadata Signer"}
		if change != nil {
			change(c)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return publisher{a}
}

// issue is the payload of a blob.
type issue struct {
	Number     int    `json:"no"`
	NextUpdate string `json:"nextUpdate"`
	Entries    []any  `json:"entries"`
}

// day is some days after noon, as blobs write dates.
func day(after int) string { return noon.AddDate(0, 0, after).Format(time.DateOnly) }

func (p publisher) blob(t testing.TB, i issue) []byte {
	t.Helper()
	return p.sign(t, p.header(), i)
}

func (p publisher) header() map[string]any {
	var chain []string
	for _, c := range p.Chain {
		chain = append(chain, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return map[string]any{"alg": "ES256", "typ": "JWT", "x5c": chain}
}

func (p publisher) sign(t testing.TB, header, payload any) []byte {
	t.Helper()
	signed := unsigned(t, header, payload)
	return append(append(signed, '.'), encoded(p.raw(t, signed))...)
}

func unsigned(t testing.TB, header, payload any) []byte {
	t.Helper()
	var parts []string
	for _, part := range []any{header, payload} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, encoded(text))
	}
	return []byte(strings.Join(parts, "."))
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// raw signs as RFC 7518 §3.4 says: r and s of 32 bytes each.
func (p publisher) raw(t testing.TB, signed []byte) []byte {
	t.Helper()
	var s struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(p.Key.Sign(signed), &s); err != nil {
		t.Fatal(err)
	}
	return append(s.R.FillBytes(make([]byte, 32)), s.S.FillBytes(make([]byte, 32))...)
}

// status is a report about a model.
type status struct {
	Status    string `json:"status"`
	Effective string `json:"effectiveDate,omitempty"`
	Sunset    string `json:"sunsetDate,omitempty"`
}

// entry is what the metadata says about a model that an Attester vouches for.
func entry(id string, a *mfatest.Attester, reports ...status) map[string]any {
	statement := map[string]any{
		"description": "Example Key 7", "authenticatorVersion": 1, "protocolFamily": "fido2", "schema": 3, "aaguid": id,
		"upv": []map[string]int{{"major": 1, "minor": 0}}, "attestationTypes": []string{"basic_full"},
		"attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(a.Root.Raw)},
	}
	return map[string]any{
		"aaguid": id, "metadataStatement": statement, "statusReports": reports, "timeOfLastStatusChange": day(-400),
	}
}

func (p publisher) load(t testing.TB, i issue) *passkey.Metadata {
	t.Helper()
	m, err := passkey.LoadMetadata(bytes.NewReader(p.blob(t, i)), noon, p.Root)
	if err != nil {
		t.Fatalf("LoadMetadata = %v, want no error", err)
	}
	return m
}

// known loads metadata about one model, of whose kind the authenticator is.
func known(t testing.TB, reports ...status) (*passkey.Metadata, *mfatest.Authenticator) {
	t.Helper()
	a := attested(t, "packed", nil)
	return newPublisher(t, nil).load(t, issue{1, day(30), []any{entry(modelName, a.Attester, reports...)}}), a
}

// judgedBy asks every new credential where it comes from.
func judgedBy(known *passkey.Metadata, models passkey.Models) func(*passkey.Config) {
	return func(c *passkey.Config) { c.Attestation, c.Metadata, c.Models = passkey.Direct, known, models }
}

func TestAKnownModelIsNamedByTheMetadata(t *testing.T) {
	meta, a := known(t)
	c := newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{Known: true})))
	if out := c.enrolled(a); out.Factor.Label != "Example Key 7" {
		t.Errorf("the label is %q, want that of the metadata", out.Factor.Label)
	}
	c.proved(a)
}

// ATT1: who vouches for a model must be the one that the metadata names.
func TestATT1_ARootThatIsNotThatOfTheModel(t *testing.T) {
	for name, models := range map[string]passkey.Models{"all models": {}, "known models": {Known: true}} {
		t.Run(name, func(t *testing.T) {
			meta, a := known(t)
			m := newMethod(t, judgedBy(meta, models))
			newCeremonies(t, m).enrolled(a)
			_, err := newCeremonies(t, m).enroll(attested(t, "packed", nil)) // of another root
			refused(t, "FinishEnroll", err)
		})
	}
}

// Which models a site accepts is judged at the enrollment.
func TestModelsOfAuthenticators(t *testing.T) {
	other := model
	other[0]++
	stranger := func(t testing.TB) *mfatest.Authenticator {
		attester, err := mfatest.NewAttester("packed", other, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := mfatest.NewSecurityKey(site)
		a.AAGUID, a.Attester = other, attester
		return a
	}
	silent := func(testing.TB) *mfatest.Authenticator {
		a := mfatest.NewSecurityKey(site)
		a.AAGUID = model
		return a
	}
	bySelf := func(t testing.TB) *mfatest.Authenticator { return attested(t, "packed-self", nil) }
	only, not := []string{modelName}, []string{modelName}
	for _, test := range []struct {
		name   string
		models passkey.Models
		of     func(testing.TB) *mfatest.Authenticator // nil: of the known model
		ok     bool
	}{
		{"all models, a known one", passkey.Models{}, nil, true},
		{"all models, an unknown one", passkey.Models{}, stranger, true},
		{"all models, one that says nothing", passkey.Models{}, silent, true},
		{"all models, a known one that vouches for itself, as it never does", passkey.Models{}, bySelf, false},
		{"known models, a known one", passkey.Models{Known: true}, nil, true},
		{"known models, an unknown one", passkey.Models{Known: true}, stranger, false},
		{"known models, one that says nothing", passkey.Models{Known: true}, silent, false},
		{"known models, one that vouches for itself", passkey.Models{Known: true}, bySelf, false},
		{"only this model, this one", passkey.Models{Only: only}, nil, true},
		{"only this model, another one", passkey.Models{Only: only}, stranger, false},
		{"only this model, one that only claims to be it", passkey.Models{Only: only}, silent, false},
		{"only this model, one that vouches for itself", passkey.Models{Only: only}, bySelf, false},
		{"not this model, this one", passkey.Models{Not: not}, nil, false},
		{"not this model, one that claims to be it", passkey.Models{Not: not}, silent, false},
		{"not this model, another one", passkey.Models{Not: not}, stranger, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			meta, a := known(t)
			if test.of != nil {
				a = test.of(t)
			}
			_, err := newCeremonies(t, newMethod(t, judgedBy(meta, test.models))).enroll(a)
			if test.ok && err != nil {
				t.Fatalf("FinishEnroll = %v, want no error", err)
			}
			if !test.ok {
				refused(t, "FinishEnroll", err)
			}
		})
	}
}

// A model that is known and not on the list is refused for that alone.
func TestOnlyTheModelsOfTheListAreAccepted(t *testing.T) {
	a, p := attested(t, "packed", nil), newPublisher(t, nil)
	meta := p.load(t, issue{1, day(30), []any{entry(modelName, a.Attester)}})
	newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{Only: []string{modelName}}))).enrolled(a)
	another := []string{"bb" + modelName[2:]}
	a.Credentials = nil
	_, err := newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{Only: another}))).enroll(a)
	refused(t, "FinishEnroll", err)
	a.Credentials = nil
	newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{Not: another}))).enrolled(a)
}

// What was said about a model counts from its day on, and what is said to be broken does not become whole by a later
// certificate.
func TestStatusOfModels(t *testing.T) {
	certified := status{Status: "FIDO_CERTIFIED_L1", Effective: day(-300)}
	for _, test := range []struct {
		name    string
		reports []status
		least   passkey.Level
		ok      bool
	}{
		{"nothing is said", nil, 0, true},
		{"certified", []status{certified}, 0, true},
		{"revoked", []status{certified, {Status: "REVOKED", Effective: day(-1)}}, 0, false},
		{"revoked without a day", []status{{Status: "REVOKED"}}, 0, false},
		{"to be revoked tomorrow", []status{certified, {Status: "REVOKED", Effective: day(1)}}, 0, true},
		{"keys were taken from it", []status{{Status: "USER_KEY_PHYSICAL_COMPROMISE", Effective: day(-9)}}, 0, false},
		{"keys were taken from afar", []status{{Status: "USER_KEY_REMOTE_COMPROMISE", Effective: day(-9)}}, 0, false},
		{"its attestation key was taken", []status{{Status: "ATTESTATION_KEY_COMPROMISE", Effective: day(-9)}}, 0, false},
		{"its verification can be passed by", []status{{Status: "USER_VERIFICATION_BYPASS", Effective: day(-9)}}, 0, false},
		{"broken, then certified again", []status{{Status: "USER_VERIFICATION_BYPASS", Effective: day(-9)},
			{Status: "FIDO_CERTIFIED_L1", Effective: day(-2)}}, 0, false},
		{"level 1 of 1", []status{certified}, passkey.Level1, true},
		{"level 1 by its old name", []status{{Status: "FIDO_CERTIFIED"}}, passkey.Level1, true},
		{"level 1 of 2", []status{certified}, passkey.Level2, false},
		{"level 2 of 2", []status{certified, {Status: "FIDO_CERTIFIED_L2", Effective: day(-9)}}, passkey.Level2, true},
		{"level 3 of 2", []status{{Status: "FIDO_CERTIFIED_L3", Effective: day(-9)}}, passkey.Level2, true},
		{"level 2 from tomorrow on", []status{certified, {Status: "FIDO_CERTIFIED_L2", Effective: day(1)}},
			passkey.Level2, false},
		{"level 2 until yesterday", []status{{Status: "FIDO_CERTIFIED_L2", Effective: day(-90), Sunset: day(-1)}},
			passkey.Level1, false},
		{"level 1+ of 2", []status{{Status: "FIDO_CERTIFIED_L1plus"}}, passkey.Level2, false},
		{"level 3 of 3+", []status{{Status: "FIDO_CERTIFIED_L3"}}, passkey.Level3Plus, false},
		{"level 3+ of 3+", []status{{Status: "FIDO_CERTIFIED_L3plus"}}, passkey.Level3Plus, true},
		{"level 2, then not certified", []status{{Status: "FIDO_CERTIFIED_L2", Effective: day(-9)},
			{Status: "NOT_FIDO_CERTIFIED", Effective: day(-2)}}, passkey.Level1, false},
		{"it says so itself", []status{{Status: "SELF_ASSERTION_SUBMITTED"}}, passkey.Level1, false},
		{"nothing is said, and a level is needed", nil, passkey.Level1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			meta, a := known(t, test.reports...)
			out, err := newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{MinLevel: test.least}))).enroll(a)
			if test.ok && err != nil {
				t.Fatalf("FinishEnroll = %v, want no error", err)
			}
			if !test.ok {
				refused(t, "FinishEnroll", err)
				if !strings.Contains(out.Note, modelName) {
					t.Errorf("Note = %q, want that it names the model", out.Note)
				}
			}
		})
	}
}

// What is said later about a model does not take a factor from its user.
func TestAModelThatIsRevokedLaterKeepsItsFactors(t *testing.T) {
	p, a := newPublisher(t, nil), attested(t, "packed", nil)
	meta := p.load(t, issue{1, day(30), []any{entry(modelName, a.Attester)}})
	c := newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{Known: true})))
	c.enrolled(a)
	revoked := p.blob(t, issue{2, day(30), []any{entry(modelName, a.Attester, status{Status: "REVOKED"})}})
	if err := meta.Refresh(bytes.NewReader(revoked), noon); err != nil {
		t.Fatalf("Refresh = %v, want no error", err)
	}
	c.proved(a)
	again := attested(t, "packed", nil)
	again.Attester = a.Attester
	_, err := c.enroll(again)
	refused(t, "FinishEnroll of another one of that model", err)
}

// An entry that cannot be read may have said that its model is broken.
func TestAModelWhoseEntryCannotBeReadIsRefused(t *testing.T) {
	a := attested(t, "packed", nil)
	for name, spoil := range map[string]func(map[string]any){
		"a date that is none":     func(e map[string]any) { e["timeOfLastStatusChange"] = "soon" },
		"reports of another kind": func(e map[string]any) { e["statusReports"] = "REVOKED" },
		"a root that is none": func(e map[string]any) {
			e["metadataStatement"].(map[string]any)["attestationRootCertificates"] = []string{"AAAA"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			broken, other := entry(modelName, a.Attester), entry("bb"+modelName[2:], a.Attester)
			spoil(broken)
			meta := newPublisher(t, nil).load(t, issue{1, day(30), []any{broken, other}})
			_, err := newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{}))).enroll(attested(t, "packed", nil))
			refused(t, "FinishEnroll", err)
		})
	}
}

// U2F keys have no AAGUID; the metadata knows them by the key of their certificate.
func TestU2FKeysAreKnownByTheirCertificate(t *testing.T) {
	for _, revoked := range []bool{false, true} {
		a := attested(t, "fido-u2f", nil)
		var info struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(a.Attester.Chain[0].RawSubjectPublicKeyInfo, &info); err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(info.Key.Bytes)
		e := entry("", a.Attester)
		if revoked {
			e = entry("", a.Attester, status{Status: "REVOKED"})
		}
		e["metadataStatement"].(map[string]any)["protocolFamily"] = "u2f"
		for _, part := range []map[string]any{e, e["metadataStatement"].(map[string]any)} {
			part["attestationCertificateKeyIdentifiers"] = []string{hex.EncodeToString(sum[:])}
			delete(part, "aaguid")
		}
		meta := newPublisher(t, nil).load(t, issue{1, day(30), []any{e}})
		c := newCeremonies(t, newMethod(t, judgedBy(meta, passkey.Models{Known: true})))
		if _, err := c.enroll(a); (err == nil) == revoked {
			t.Errorf("FinishEnroll of a U2F key, revoked %v = %v", revoked, err)
		}
		_, err := c.enroll(attested(t, "fido-u2f", nil))
		refused(t, "FinishEnroll of a U2F key that nobody knows", err)
	}
}

// ATT4: a policy that needs metadata does not judge by one that has expired. Nor does it shut those out who are in.
func TestATT4_MetadataThatHasExpired(t *testing.T) {
	meta, a := known(t)
	models := passkey.Models{Known: true}
	c := newCeremonies(t, newMethod(t, judgedBy(meta, models)))
	c.enrolled(a)
	lastDay, over := noon.AddDate(0, 0, 30), noon.AddDate(0, 0, 31)
	c.now = lastDay
	_, state := c.beginEnroll()
	c.now = over
	var refusal *mfa.Refusal
	_, err := c.finishEnroll(state, nil)
	if err == nil || errors.Is(err, mfa.ErrWrongAnswer) || errors.As(err, &refusal) {
		t.Errorf("FinishEnroll when the metadata has expired = %v, want an error that says that nobody can judge", err)
	}
	if _, _, err := c.m.BeginEnroll(t.Context(), mfa.Attempt{User: alice, Now: over}); err == nil {
		t.Error("BeginEnroll when the metadata has expired = nil, want an error")
	}
	c.proved(a)
	lax := newMethod(t, judgedBy(meta, passkey.Models{}))
	if _, _, err := lax.BeginEnroll(t.Context(), mfa.Attempt{User: alice, Now: over}); err != nil {
		t.Errorf("BeginEnroll of a site that accepts all models = %v, want no error", err)
	}
}

// ATT4: what is not signed by whom it should be is not read.
func TestATT4_BlobsThatAreRefused(t *testing.T) {
	p, stranger := newPublisher(t, nil), newPublisher(t, nil)
	good := issue{7, day(30), []any{entry(modelName, p.Attester)}}
	with := func(name string, value any) []byte {
		h := p.header()
		if h[name] = value; value == nil {
			delete(h, name)
		}
		return p.sign(t, h, good)
	}
	without := func(text []byte) []byte { return text[:bytes.LastIndexByte(text, '.')+1] }
	right := p.blob(t, good)
	parts := bytes.Split(right, []byte("."))
	other := encoded([]byte(`{"no":9,"nextUpdate":"2030-01-01","entries":[{}]}`))
	forged := bytes.Join([][]byte{parts[0], []byte(other), parts[2]}, []byte("."))
	spki := p.Chain[0].RawSubjectPublicKeyInfo
	mac := hmac.New(sha256.New, spki)
	symmetric := p.header()
	symmetric["alg"] = "HS256"
	mac.Write(unsigned(t, symmetric, good))
	sealed := append(append(unsigned(t, symmetric, good), '.'), encoded(mac.Sum(nil))...)
	der := append(append(unsigned(t, p.header(), good), '.'), encoded(p.Key.Sign(unsigned(t, p.header(), good)))...)
	payload := func(change func(*issue)) []byte {
		i := good
		change(&i)
		return p.blob(t, i)
	}
	for name, text := range map[string][]byte{
		"signed by a stranger":                         stranger.blob(t, good),
		"signed by a stranger, said to be by us":       stranger.sign(t, p.header(), good),
		"with another payload":                         forged,
		"with an empty signature":                      without(right),
		"with a signature in DER":                      der,
		"with algorithm none":                          without(with("alg", "none")),
		"with algorithm none and a signature":          with("alg", "none"),
		"with algorithm RS256 and another kind of key": with("alg", "RS256"),
		"with algorithm es256":                         with("alg", "es256"),
		"with a MAC by the public key":                 sealed,
		"without an algorithm":                         with("alg", nil),
		"without certificates":                         with("x5c", nil),
		"with an empty list of certificates":           with("x5c", []string{}),
		"with the root alone":                          with("x5c", []string{base64.StdEncoding.EncodeToString(p.Root.Raw)}),
		"with a certificate that is none":              with("x5c", []string{"AAAA"}),
		"with certificates elsewhere":                  with("x5u", "https://example.org/chain"),
		"with critical members":                        with("crit", []string{"exp"}),
		"of an expired signer":                         newExpired(t, p).blob(t, good),
		"of two parts":                                 unsigned(t, p.header(), good),
		"of four parts":                                append(bytes.Clone(right), ".AAAA"...),
		"in JSON":                                      []byte(`{"payload":"","signatures":[]}`),
		"with padding":                                 append(bytes.Clone(right), '='),
		"cut off":                                      right[:len(right)/2],
		"that is empty":                                {},
		"without a number":                             payload(func(i *issue) { i.Number = 0 }),
		"with a negative number":                       payload(func(i *issue) { i.Number = -7 }),
		"without entries":                              payload(func(i *issue) { i.Entries = nil }),
		"without a day":                                payload(func(i *issue) { i.NextUpdate = "" }),
		"that expired yesterday":                       payload(func(i *issue) { i.NextUpdate = day(-1) }),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := passkey.LoadMetadata(bytes.NewReader(text), noon, p.Root); err == nil {
				t.Errorf("LoadMetadata of a blob %s = serial %d, want an error", name, m.Serial())
			}
			meta := p.load(t, good)
			err := meta.Refresh(bytes.NewReader(text), noon)
			next := meta.NextUpdate().Format(time.DateOnly)
			if err == nil || meta.Serial() != 7 || next != day(30) {
				t.Errorf("Refresh = %v, with %d of %s loaded; want an error, and the blob before", err, meta.Serial(), next)
			}
		})
	}
	if _, err := passkey.LoadMetadata(bytes.NewReader(right), noon); err == nil {
		t.Error("LoadMetadata of a blob that is not by the FIDO Alliance = nil, want an error")
	}
	today := payload(func(i *issue) { i.NextUpdate = day(0) })
	if _, err := passkey.LoadMetadata(bytes.NewReader(today), noon, p.Root); err != nil {
		t.Errorf("LoadMetadata on its last day = %v, want no error", err)
	}
}

// newExpired is the same publisher with a certificate that has expired.
func newExpired(t testing.TB, p publisher) publisher {
	t.Helper()
	c := *p.Chain[0]
	c.NotAfter = noon.Add(-time.Second)
	old, err := p.Issue(&c, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	a := *p.Attester
	a.Chain = []*x509.Certificate{old}
	return publisher{&a}
}

// A blob may be signed by an RSA key too, as the FIDO Alliance does.
func TestBlobsThatAreSignedByRSA(t *testing.T) {
	p := newPublisher(t, nil)
	key, err := mfatest.NewKey(mfatest.RS256)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Issue(p.Chain[0], key)
	if err != nil {
		t.Fatal(err)
	}
	p.Chain, p.Key = []*x509.Certificate{c}, key
	h := p.header()
	h["alg"] = "RS256"
	signed := unsigned(t, h, issue{3, day(30), []any{map[string]any{}}})
	text := append(append(bytes.Clone(signed), '.'), encoded(key.Sign(signed))...)
	if m, err := passkey.LoadMetadata(bytes.NewReader(text), noon, p.Root); err != nil || m.Serial() != 3 {
		t.Errorf("LoadMetadata = %v, want serial 3", err)
	}
}

// ATT4: an older blob does not replace a newer one; the same one again is no mistake.
func TestATT4_SerialNumbers(t *testing.T) {
	p := newPublisher(t, nil)
	meta := p.load(t, issue{7, day(30), []any{entry(modelName, p.Attester)}})
	for _, test := range []struct {
		number, want int
		ok           bool
	}{{6, 7, false}, {7, 7, true}, {1, 7, false}, {9, 9, true}, {8, 9, false}} {
		err := meta.Refresh(bytes.NewReader(p.blob(t, issue{test.number, day(31), []any{map[string]any{}}})), noon)
		if (err == nil) != test.ok || meta.Serial() != test.want {
			t.Errorf("Refresh to %d = %v, serial %d; want it to work: %v, serial %d",
				test.number, err, meta.Serial(), test.ok, test.want)
		}
		if !test.ok && !strings.Contains(fmt.Sprint(err), "serial number") {
			t.Errorf("Refresh to %d = %v, want that it speaks of the serial number", test.number, err)
		}
	}
}

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestBOMB1_MetadataWithoutEnd(t *testing.T) {
	p := newPublisher(t, nil)
	meta := p.load(t, issue{7, day(30), []any{map[string]any{}}})
	if err := meta.Refresh(endless{}, noon); err == nil || meta.Serial() != 7 {
		t.Errorf("Refresh from a reader without end = %v, want an error", err)
	}
	dead := io.MultiReader(strings.NewReader("e30."), broken{errors.New("the line is dead")})
	if err := meta.Refresh(dead, noon); err == nil || !strings.Contains(err.Error(), "the line is dead") {
		t.Errorf("Refresh from a broken reader = %v, want its error", err)
	}
}

type broken struct{ err error }

func (r broken) Read([]byte) (int, error) { return 0, r.err }

// ATT4: what is fetched replaces what is loaded only if it is better, and a source that is away is tried again.
func TestATT4_MetadataIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublisher(t, nil)
		now := time.Now()
		blob := func(number, days int) []byte {
			return p.blob(t, issue{number, now.AddDate(0, 0, days).Format(time.DateOnly), []any{map[string]any{}}})
		}
		away := errors.New("away")
		opened := 0
		answers := []any{blob(3, 40), away, blob(2, 50), []byte("?"), blob(4, 0), blob(5, 90)}
		closed := 0
		source := func(context.Context) (io.ReadCloser, error) {
			answer := answers[min(opened, len(answers)-1)]
			opened++
			if err, ok := answer.(error); ok {
				return nil, err
			}
			return &counted{bytes.NewReader(answer.([]byte)), &closed}, nil
		}
		meta, err := passkey.LoadMetadata(bytes.NewReader(blob(1, 30)), now, p.Root)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan error, 10)
		var group sync.WaitGroup
		group.Go(func() { meta.Follow(ctx, source, 24*time.Hour, func(err error) { told <- err }) })
		for i, want := range []struct{ serial, told int }{{3, 0}, {3, 1}, {3, 2}, {3, 3}, {3, 4}, {5, 4}, {5, 4}} {
			synctest.Wait()
			if meta.Serial() != want.serial || len(told) != want.told {
				t.Errorf("after %d days: serial %d, %d errors; want %d, %d", i, meta.Serial(), len(told), want.serial, want.told)
			}
			time.Sleep(24 * time.Hour) // of the bubble
		}
		if err := <-told; !errors.Is(err, away) {
			t.Errorf("the first error is %v, want that of the source", err)
		}
		cancel()
		group.Wait()
		if closed != opened-1 {
			t.Errorf("%d of %d blobs were closed, want all that were opened", closed, opened-1)
		}
	})
}

type counted struct {
	io.Reader
	closed *int
}

func (c *counted) Close() error { *c.closed++; return nil }

// A source that hangs is left after a while, by its context.
func TestASourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublisher(t, nil)
		meta := p.load(t, issue{1, day(36500), []any{map[string]any{}}})
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan error, 1)
		go meta.Follow(ctx, func(ctx context.Context) (io.ReadCloser, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, time.Hour, func(err error) { told <- err })
		if err := <-told; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Follow reports %v, want that the deadline has passed", err)
		}
		cancel()
		synctest.Wait()
	})
}

// Enrollments go on while the metadata is replaced.
func TestMetadataIsReplacedWhileItIsRead(t *testing.T) {
	p, a := newPublisher(t, nil), attested(t, "packed", nil)
	meta := p.load(t, issue{1, day(30), []any{entry(modelName, a.Attester)}})
	m := newMethod(t, judgedBy(meta, passkey.Models{Known: true}))
	blobs := [][]byte{}
	for number := range 8 {
		blobs = append(blobs, p.blob(t, issue{number + 2, day(30), []any{entry(modelName, a.Attester)}}))
	}
	var group sync.WaitGroup
	group.Go(func() {
		for _, blob := range blobs {
			if err := meta.Refresh(bytes.NewReader(blob), noon); err != nil {
				t.Errorf("Refresh = %v, want no error", err)
			}
		}
	})
	for range 8 {
		a.Credentials = nil
		newCeremonies(t, m).enrolled(a)
	}
	group.Wait()
	if meta.Serial() != 9 {
		t.Errorf("the serial number is %d, want 9", meta.Serial())
	}
}
