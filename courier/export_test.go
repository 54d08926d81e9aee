package courier

import (
	"context"
	"net"
)

// DialBy has a courier connect by a function, as to a network without sockets.
func (s *SMTP) DialBy(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	s.dial = dial
}

// Limits that tests hold the couriers to.
const (
	AllTime       = allTime
	IdleTime      = idleTime
	Conversations = conversations
	Tries         = tries
)
