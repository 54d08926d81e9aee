package demo

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// clock is the clock of one node: of the guard and of the site's sessions. Only the test clock lets it be moved.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// maxOffset is how far the clock may be moved away from the real time.
const maxOffset = 100 * 365 * 24 * time.Hour

// advance moves the clock, back if d is negative, and reports whether it may.
func (c *clock) advance(d time.Duration) bool {
	for {
		old := c.offset.Load()
		if d > maxOffset || d < -maxOffset || time.Duration(old)+d > maxOffset || time.Duration(old)+d < -maxOffset {
			return false
		}
		if c.offset.CompareAndSwap(old, old+int64(d)) {
			return true
		}
	}
}

// moveClock answers POST /demo/clock {"advance":"31s"} with {"now":"..."}, the time of this node.
func (s *site) moveClock(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Advance string `json:"advance"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, `send a JSON object such as {"advance":"31s"}`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "something follows the JSON object")
	}
	by, err := time.ParseDuration(body.Advance)
	if err != nil {
		return refuse(http.StatusBadRequest, `"advance" is not a time span such as "31s", "-5m" or "24h"`)
	}
	if !s.clock.advance(by) {
		return refuse(http.StatusBadRequest, "the clock may be moved by 100 years at most")
	}
	return writeJSON(w, http.StatusOK, map[string]string{"now": s.clock.now().UTC().Format(time.RFC3339Nano)})
}
