package mfatest

// Edits change single things in what an Authenticator answers, before it is signed where it is signed. The zero value
// changes nothing.
type Edits struct {
	// AnyPage skips the browser's check that the page may use the RP ID.
	AnyPage bool

	// ClientData changes the members of the client data, ClientDataJSON its text.
	ClientData     func(map[string]any)
	ClientDataJSON func([]byte) []byte

	// RPID is signed in place of the one asked for.
	RPID string

	// Set and Clear are flags of the authenticator data, Count its sign count.
	Set, Clear byte
	Count      *uint32

	// Extensions is CBOR that follows as extension data; AuthData changes the whole.
	Extensions []byte
	AuthData   func([]byte) []byte

	// CredentialID is the id of the next credential that is made, Unoffered an algorithm that it is made with though
	// nobody offers it, PublicKey changes its key and RawPublicKey its encoding.
	CredentialID []byte
	Unoffered    int
	PublicKey    func(Map) Map
	RawPublicKey func([]byte) []byte

	// Format is named by the attestation object in place of its own, Statement changes the statement, Object the whole.
	Format    string
	Statement func(Map) Map
	Object    func([]byte) []byte

	// Signature changes the signature of a proof, Answer what toJSON() gives, AnswerJSON its text.
	Signature  func([]byte) []byte
	Answer     func(map[string]any)
	AnswerJSON func([]byte) []byte
}

func (e Edits) publicKey(key Map) []byte {
	if e.PublicKey != nil {
		key = e.PublicKey(key)
	}
	b := EncodeCBOR(key)
	if e.RawPublicKey != nil {
		b = e.RawPublicKey(b)
	}
	return b
}

func (e Edits) object(format string, statement Map, authData []byte) []byte {
	if e.Format != "" {
		format = e.Format
	}
	if e.Statement != nil {
		statement = e.Statement(statement)
	}
	b := EncodeCBOR(Map{"fmt", format, "attStmt", statement, "authData", authData})
	if e.Object != nil {
		b = e.Object(b)
	}
	return b
}

func (e Edits) finish(answer map[string]any) []byte {
	if e.Answer != nil {
		e.Answer(answer)
	}
	text := mustJSON(answer)
	if e.AnswerJSON != nil {
		text = e.AnswerJSON(text)
	}
	return text
}
