package sallyport_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"sallyport"
	"sallyport/mfa"
)

// hotRequest returns a protected and a bare handler, and a request of somebody who has proved a factor.
func hotRequest(t testing.TB) (protected, bare http.Handler, r *http.Request) {
	t.Helper()
	u := mfa.User{}
	s := newSite(t, func(s *site, c *sallyport.Config) {
		site := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			if u.ID != "" {
				return u, nil
			}
			return site(r)
		}
	})
	b := s.enrolled("alice")
	r = httptest.NewRequest("GET", s.server.URL+"/api/list", nil)
	r.Header.Set("Cookie", "theme=dark; session="+b.cookie("session")+"; __Host-sallyport="+b.cookie("__Host-sallyport")+"; lang=en")
	signedIn, err := s.user(r)
	if err != nil || signedIn.ID != "alice" {
		t.Fatalf("user = %v, %v", signedIn.ID, err)
	}
	u = signedIn
	bare = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return s.guard.Protect(bare), bare, r
}

// nowhere is a ResponseWriter that allocates nothing.
type nowhere struct{ status int }

func (n *nowhere) Header() http.Header         { return nil }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(status int)      { n.status = status }

func TestAProtectedRequestAllocatesLittle(t *testing.T) {
	protected, bare, r := hotRequest(t)
	w := &nowhere{}
	protected.ServeHTTP(w, r)
	if w.status != http.StatusNoContent {
		t.Fatalf("status = %d, want the site's 204", w.status)
	}
	base := testing.AllocsPerRun(200, func() { bare.ServeHTTP(w, r) })
	guarded := testing.AllocsPerRun(200, func() { protected.ServeHTTP(w, r) })
	if above := guarded - base; above > 10 {
		t.Errorf("a protected request allocates %v times above the bare handler, want at most 10", above)
	}
}

func BenchmarkProtectedRequest(b *testing.B) {
	protected, bare, r := hotRequest(b)
	w := &nowhere{}
	for name, h := range map[string]http.Handler{"bare": bare, "protected": protected} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
