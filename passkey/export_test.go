package passkey

// CreateState and RequestState are what Begin would have returned had it drawn this challenge, and this handle.
func CreateState(challenge, handle []byte) []byte {
	return session{create: true, challenge: challenge, handle: handle}.encode()
}

func RequestState(challenge []byte, offered ...[]byte) []byte {
	s := session{challenge: challenge, anyone: len(offered) == 0, needVerified: len(offered) == 0}
	for _, id := range offered {
		s.offered = append(s.offered, hashID(id))
	}
	return s.encode()
}
