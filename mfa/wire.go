package mfa

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// The encodings of account, assurance, ticket and event: a version byte, then values in a fixed order. Numbers are
// varints, times microseconds since 1970 (0: the zero time), texts and lists behind their lengths.

var errWire = errors.New("malformed encoding")

type writer struct{ b []byte }

func (w *writer) uint(n uint64)       { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int64)         { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) text(s string)       { w.uint(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) bytes(s []byte)      { w.uint(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) time(t time.Time)    { w.int(micros(t)) }
func (w *writer) length(n int)        { w.uint(uint64(n)) }
func (w *writer) texts(list []string) { writeList(w, list, w.text) }

func (w *writer) bool(v bool) {
	c := byte(0)
	if v {
		c = 1
	}
	w.b = append(w.b, c)
}

func writeList[T any](w *writer, list []T, each func(T)) {
	w.length(len(list))
	for _, v := range list {
		each(v)
	}
}

// reader takes values off b. After the first mistake it returns zero values and keeps the error.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	r.b = nil
	r.err = errWire
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads a number that fits an int and is not negative.
func (r *reader) count() int {
	n := r.uint()
	if n > math.MaxInt32 {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) take() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// fill reads a value of a fixed length.
func (r *reader) fill(b []byte) {
	if len(r.b) < len(b) {
		r.fail()
		return
	}
	copy(b, r.b)
	r.b = r.b[len(b):]
}

func (r *reader) text() string { return string(r.take()) }

func (r *reader) bytes() []byte {
	if b := r.take(); len(b) > 0 {
		return b
	}
	return nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bool() bool {
	c := r.byte()
	if c > 1 {
		r.fail()
	}
	return c == 1
}

func (r *reader) time() time.Time {
	n := r.int()
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func (r *reader) texts() []string { return readList(r, r.text) }

// readList reads a list. An entry takes at least a byte, so a length beyond what is left is a mistake, not an allocation.
func readList[T any](r *reader, each func() T) []T {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
	}
	if r.err != nil || n == 0 {
		return nil
	}
	list := make([]T, 0, min(n, 64))
	for range n {
		if list = append(list, each()); r.err != nil {
			return nil
		}
	}
	return list
}

// end returns the first mistake; bytes left over are one.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errWire
	}
	return r.err
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
