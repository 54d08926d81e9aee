package mfa_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/mfa"
)

// draw fills any value with drawn ones: every field of it, so that none that is added later is forgotten.
func draw(t *rapid.T, v reflect.Value, name string) {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		if n := rapid.Int64().Draw(t, name); n != 0 {
			*p = time.UnixMicro(n).UTC()
		}
		return
	case *mfa.Strength:
		*p = mfa.Strength(rapid.IntRange(int(mfa.Sent), int(mfa.PhishingResistant)).Draw(t, name))
		return
	case *mfa.Off:
		*p = mfa.Off(rapid.IntRange(0, 7).Draw(t, name))
		return
	case *mfa.LaneID:
		*p = mfa.LaneID(rapid.IntRange(0, 1).Draw(t, name))
		return
	case *[]byte:
		if b := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, name); len(b) > 0 {
			*p = b
		}
		return
	}
	drawKind(t, v, name)
}

func drawKind(t *rapid.T, v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, name))
	case reflect.Int: // a count
		v.SetInt(rapid.Int64Range(0, math.MaxInt32).Draw(t, name))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, name))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, name))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, name)))
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, name); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			draw(t, v.Index(i), fmt.Sprint(name, i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() { // what is not is never encoded
				draw(t, v.Field(i), name+"."+v.Type().Field(i).Name)
			}
		}
	default:
		t.Fatalf("%s is a %v, which the test cannot draw", name, v.Type())
	}
}

func drawn[T any](t *rapid.T) (v T) {
	draw(t, reflect.ValueOf(&v).Elem(), reflect.TypeFor[T]().Name())
	return v
}

// coded is an encoding: how to write a drawn value, and how to read bytes and write them again.
type coded struct {
	name   string
	draw   func(*rapid.T) (v any, encoded []byte)
	decode func([]byte) (v any, encoded []byte, err error)
}

var wireForms = []coded{
	{"account", func(t *rapid.T) (any, []byte) {
		acct := drawn[mfa.Account](t)
		return &acct, mfa.EncodeAccount(&acct)
	}, func(b []byte) (any, []byte, error) {
		acct, err := mfa.DecodeAccount(b)
		if err != nil {
			return nil, nil, err
		}
		return acct, mfa.EncodeAccount(acct), nil
	}},
	{"assurance", func(t *rapid.T) (any, []byte) {
		a := drawn[mfa.Assurance](t)
		a.UserID, a.Session = "alice", "s1" // bound by the seal
		return a, mfa.EncodeAssurance(a)
	}, func(b []byte) (any, []byte, error) {
		a, err := mfa.DecodeAssurance(b)
		return a, mfa.EncodeAssurance(a), err
	}},
	{"ticket", func(t *rapid.T) (any, []byte) {
		v := drawn[mfa.Ticket](t)
		return v, mfa.EncodeTicket(v)
	}, func(b []byte) (any, []byte, error) {
		v, err := mfa.DecodeTicket(b)
		return v, mfa.EncodeTicket(v), err
	}},
	{"seed", func(t *rapid.T) (any, []byte) {
		s := mfa.TOTPSeed{
			Key:       rapid.SliceOfN(rapid.Byte(), 5, 64).Draw(t, "Key"),
			Algorithm: mfa.Algorithm(rapid.IntRange(0, 2).Draw(t, "Algorithm")),
			Digits:    rapid.IntRange(6, 8).Draw(t, "Digits"),
			Period:    time.Duration(rapid.IntRange(10, 300).Draw(t, "Period")) * time.Second,
			T0:        rapid.Int64Range(-1e11, 1e11).Draw(t, "T0"),
			MaxDrift:  rapid.IntRange(0, 100_000).Draw(t, "MaxDrift"),
			Used:      rapid.Bool().Draw(t, "Used"),
			Last:      rapid.Int64Range(0, math.MaxInt64).Draw(t, "Last"),
		}
		s.Drift = rapid.IntRange(-s.MaxDrift, s.MaxDrift).Draw(t, "Drift")
		return s, mfa.EncodeSeed(s)
	}, func(b []byte) (any, []byte, error) {
		s, err := mfa.DecodeSeed(b)
		return s, mfa.EncodeSeed(s), err
	}},
	{"recovery set", func(t *rapid.T) (any, []byte) {
		b := append([]byte{1}, rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")...)
		n := rapid.IntRange(0, 10).Draw(t, "codes")
		b = append(b, byte(n))
		for range n {
			b = append(b, rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "code")...)
			b = append(b, byte(rapid.IntRange(0, 1).Draw(t, "used")))
		}
		return b, b
	}, func(b []byte) (any, []byte, error) {
		again, err := mfa.RecodeRecoverySet(b)
		return again, again, err
	}},
	{"hotp", func(t *rapid.T) (any, []byte) {
		s := mfa.HOTPSeed{
			Key:       rapid.SliceOfN(rapid.Byte(), 5, 64).Draw(t, "Key"),
			Algorithm: mfa.Algorithm(rapid.IntRange(0, 2).Draw(t, "Algorithm")),
			Digits:    rapid.IntRange(6, 8).Draw(t, "Digits"),
			Counter:   rapid.Uint64Range(0, math.MaxInt64-100).Draw(t, "Counter"),
		}
		return s, mfa.EncodeHOTP(s)
	}, func(b []byte) (any, []byte, error) {
		s, err := mfa.DecodeHOTP(b)
		return s, mfa.EncodeHOTP(s), err
	}},
	{"token", func(t *rapid.T) (any, []byte) {
		id := modhexOf(rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "id"))
		var secret *mfa.YubicoSecret
		if rapid.Bool().Draw(t, "local") {
			s := drawn[mfa.YubicoSecret](t)
			secret = &s
		}
		f, err := mfa.YubicoFactor(id, secret, uint32(rapid.IntRange(0, math.MaxInt32).Draw(t, "counter")))
		if err != nil {
			t.Fatal(err)
		}
		return f.State, f.State
	}, recoded(mfa.RecodeToken)},
	{"verdict", func(t *rapid.T) (any, []byte) {
		counter := uint32(rapid.IntRange(0, math.MaxInt32).Draw(t, "counter"))
		b := mfa.EncodeVerdict(drawn[[32]byte](t), rapid.Bool().Draw(t, "right"), rapid.Bool().Draw(t, "spent"), counter)
		return b, b
	}, recoded(mfa.RecodeVerdict)},
	{"sends", func(t *rapid.T) (any, []byte) {
		b := mfa.EncodeSends(drawn[[]time.Time](t))
		return b, b
	}, recoded(mfa.RecodeSends)},
	{"sent", func(t *rapid.T) (any, []byte) {
		address := rapid.StringN(1, 70, -1).Draw(t, "address")
		return address, mfa.EncodeSent(address)
	}, func(b []byte) (any, []byte, error) {
		address, err := mfa.DecodeSent(b)
		return address, mfa.EncodeSent(address), err
	}},
}

// recoded makes a decoder of one that encodes again at once.
func recoded(recode func([]byte) ([]byte, error)) func([]byte) (any, []byte, error) {
	return func(b []byte) (any, []byte, error) {
		again, err := recode(b)
		return again, again, err
	}
}

func TestWhatIsEncodedIsDecodedAsItWas(t *testing.T) {
	for _, c := range wireForms {
		t.Run(c.name, func(t *testing.T) {
			check(t, 300, func(t *rapid.T) {
				want, encoded := c.draw(t)
				got, again, err := c.decode(encoded)
				if err != nil || !reflect.DeepEqual(got, want) || !bytes.Equal(again, encoded) {
					t.Fatalf("decoded %+v, %v; want %+v", got, err, want)
				}
			})
		})
	}
}

func TestNoPartOfAnEncodingIsDecodedNorMore(t *testing.T) {
	for _, c := range wireForms {
		t.Run(c.name, func(t *testing.T) {
			check(t, 30, func(t *rapid.T) {
				_, encoded := c.draw(t)
				for n := range encoded {
					if v, _, err := c.decode(encoded[:n]); err == nil {
						t.Fatalf("the first %d of %d bytes are decoded as %+v", n, len(encoded), v)
					}
				}
				for _, more := range [][]byte{{0}, {1}, {255}, encoded} {
					if v, _, err := c.decode(append(bytes.Clone(encoded), more...)); err == nil {
						t.Fatalf("with %x behind it is decoded as %+v", more, v)
					}
				}
			})
		})
	}
}

func TestAnUnknownVersionIsRefused(t *testing.T) {
	for _, c := range wireForms {
		encoded := goldenBytes(t, c.name)
		for version := range 256 {
			changed := append([]byte{byte(version)}, encoded[1:]...)
			if _, _, err := c.decode(changed); (err == nil) != (version == 1) {
				t.Errorf("%s of version %d: decode = %v", c.name, version, err)
			}
		}
	}
}

// What cannot have been written is not read either, so that nothing stands in an account that no code thought of.
func TestValuesThatAreNoneAreRefused(t *testing.T) {
	acct := &mfa.Account{Factors: []mfa.Factor{{ID: "f", Strength: mfa.Typed}}}
	strange := map[string]func(){
		"an unknown strength":      func() { acct.Factors[0].Strength = mfa.PhishingResistant + 1 },
		"a strength below all":     func() { acct.Factors[0].Strength = mfa.Sent - 1 },
		"a reason that is unknown": func() { acct.Factors[0].Off = 8 },
		"a negative count":         func() { acct.Factors[0].Wrong = -1 },
		"an unknown lane":          func() { acct.Answered = []mfa.Answered{{Lane: 2}} },
		"a negative row":           func() { acct.Lanes[1].Row = -1 },
	}
	if _, err := mfa.DecodeAccount(mfa.EncodeAccount(acct)); err != nil {
		t.Fatalf("the control: decode = %v", err)
	}
	for name, spoil := range strange {
		acct = &mfa.Account{Factors: []mfa.Factor{{ID: "f", Strength: mfa.Typed}}}
		spoil()
		if got, err := mfa.DecodeAccount(mfa.EncodeAccount(acct)); err == nil {
			t.Errorf("%s is decoded as %+v", name, got)
		}
	}
	var many mfa.Assurance
	for range 17 {
		many.Proofs = append(many.Proofs, mfa.Proof{FactorID: "f"})
	}
	if _, err := mfa.DecodeAssurance(mfa.EncodeAssurance(many)); err == nil {
		t.Error("an assurance of 17 proofs is decoded, want at most 16")
	}
}

// A length that is not there is a mistake, not an allocation.
func TestAHugeLengthCostsNothing(t *testing.T) {
	for _, c := range wireForms {
		encoded := goldenBytes(t, c.name)
		for _, huge := range []uint64{1 << 20, 1 << 31, 1 << 40, 1 << 62, math.MaxUint64} {
			for at := 1; at <= len(encoded); at++ {
				bomb := binary.AppendUvarint(bytes.Clone(encoded[:at]), huge)
				bomb = append(bomb, encoded[min(at+1, len(encoded)):]...)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				c.decode(bomb)
				runtime.ReadMemStats(&after)
				if spent := after.TotalAlloc - before.TotalAlloc; spent > 256<<10 {
					t.Fatalf("%s with a length of %d at byte %d allocates %d bytes", c.name, huge, at, spent)
				}
			}
		}
	}
}

// An account is read and written at every sign-in. One with an app, recovery codes and a passkey is below a kilobyte.
func TestAnAccountIsSmall(t *testing.T) {
	app := newApp(1).factor(t)
	sheet, _ := newSet(t)
	acct := &mfa.Account{Epoch: 12, KnownSince: midday, NoticedAt: midday, Events: 300}
	key := mfa.Factor{Method: mfa.MethodPasskey, State: make([]byte, 250), Key: mfa.KeyOf("passkey", nil)}
	for _, f := range []mfa.Factor{app, sheet, key} {
		f.ID, f.Label, f.Created, f.LastUsed = "AbCdEfGhIjKl", "my telephone", midday, midday
		acct.Factors = append(acct.Factors, f)
	}
	if n := len(mfa.EncodeAccount(acct)); n > 1000 {
		t.Errorf("an account with three factors takes %d bytes, want at most 1,000", n)
	} else {
		t.Logf("an account with three factors takes %d bytes", n)
	}
	var a mfa.Assurance // as many proofs as one may hold are a fifth of a cookie
	for range 16 {
		a.Proofs = append(a.Proofs, mfa.Proof{FactorID: "AbCdEfGhIjKl", At: midday, Until: midday.Add(time.Hour)})
	}
	if n := len(mfa.EncodeAssurance(a)); n > 600 {
		t.Errorf("an assurance of 16 proofs takes %d bytes, want at most 600", n)
	}
}

func TestTheMACOfAnEventCoversEveryFieldButItself(t *testing.T) {
	var ev mfa.Event
	seen := map[string]string{string(mfa.EncodeEvent(ev)): "nothing"}
	v := reflect.ValueOf(&ev).Elem()
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		switch f.Interface().(type) {
		case string, mfa.Kind:
			f.SetString("x")
		case uint64:
			f.SetUint(7)
		case bool:
			f.SetBool(true)
		case time.Time:
			f.Set(reflect.ValueOf(midday))
		case []byte:
			f.SetBytes([]byte("x"))
		default:
			t.Fatalf("%s is a %v, which the test cannot set", name, f.Type())
		}
		other, there := seen[string(mfa.EncodeEvent(ev))]
		if there != (name == "MAC") {
			t.Errorf("an event with %s set is encoded as one with %q", name, other)
		}
		seen[string(mfa.EncodeEvent(ev))] = name
		f.SetZero()
	}
	a, b := mfa.Event{FactorID: "ab", Method: "c"}, mfa.Event{FactorID: "a", Method: "bc"}
	if bytes.Equal(mfa.EncodeEvent(a), mfa.EncodeEvent(b)) {
		t.Error("a character may move from one field to the next")
	}
}
