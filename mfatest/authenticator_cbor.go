package mfatest

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Map is a CBOR map: keys and values in turn. They are written in the order in which they stand here, also in a wrong
// one, and also if a key is there twice.
type Map []any

// Raw is CBOR that is written as it is.
type Raw []byte

// With returns m with another value for a key, which is added if it is not there.
func (m Map) With(key, value any) Map {
	changed := slices.Clone(m)
	for i := 0; i < len(changed); i += 2 {
		if changed[i] == key {
			changed[i+1] = value
			return changed
		}
	}
	return append(changed, key, value)
}

// Without returns m without a key.
func (m Map) Without(key any) Map {
	var rest Map
	for i := 0; i < len(m); i += 2 {
		if m[i] != key {
			rest = append(rest, m[i], m[i+1])
		}
	}
	return rest
}

// Get returns the value of a key, or nil.
func (m Map) Get(key any) any {
	for i := 0; i < len(m); i += 2 {
		if m[i] == key {
			return m[i+1]
		}
	}
	return nil
}

// EncodeCBOR writes ints, texts, byte strings, booleans, lists and Maps in definite lengths (RFC 8949). Anything else
// is a panic.
func EncodeCBOR(v any) []byte {
	switch v := v.(type) {
	case Raw:
		return v
	case int:
		if v < 0 {
			return cborHead(1, uint64(-(v + 1)))
		}
		return cborHead(0, uint64(v))
	case []byte:
		return append(cborHead(2, uint64(len(v))), v...)
	case string:
		return append(cborHead(3, uint64(len(v))), v...)
	case []any:
		b := cborHead(4, uint64(len(v)))
		for _, e := range v {
			b = append(b, EncodeCBOR(e)...)
		}
		return b
	case Map:
		b := cborHead(5, uint64(len(v)/2))
		for _, e := range v {
			b = append(b, EncodeCBOR(e)...)
		}
		return b
	case bool:
		if v {
			return []byte{0xf5}
		}
		return []byte{0xf4}
	}
	panic(fmt.Sprintf("no CBOR for %T", v))
}

// cborHead writes a major type and its argument in the shortest form.
func cborHead(major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return []byte{major | byte(n)}
	case n < 1<<8:
		return []byte{major | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{major | 25}, uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32([]byte{major | 26}, uint32(n))
	}
	return binary.BigEndian.AppendUint64([]byte{major | 27}, n)
}
