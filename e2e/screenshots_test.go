package e2e_test

import (
	"bytes"
	"cmp"
	_ "embed"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "draw docs/screenshots anew")

const (
	shotsDir  = "../docs/screenshots"
	mostShots = 60
	mostBytes = 100_000
)

// still.js puts fixed values in place of what is different each time: secrets, codes, dates, the port.
//
//go:embed testdata/still.js
var still string

// TestScreenshots draws every page into docs/screenshots when -update is given. A file is written only if its pixels
// change, and removed if its page is gone. Without -update it checks that each page has its pictures.
func TestScreenshots(t *testing.T) {
	if !*update {
		checkShots(t)
		return
	}
	var drawn []string
	draw := func(v *visitor, name string) {
		t.Helper()
		drawn = append(drawn, name)
		keep(t, filepath.Join(shotsDir, name), small256(t, v.shot()))
	}
	walk(t, func(v *visitor, s state) {
		for _, l := range s.shots {
			v.wear(l)
			draw(v, s.name+"."+l.name+".png")
		}
		switch s.name { // for the README
		case "home":
			v.wear(look{"", 720, 640, false})
			draw(v, "home.png")
		case "verify-totp":
			v.wear(look{"", 720, 480, false})
			draw(v, "verify.png")
		}
	})
	for _, path := range shots(t) {
		if !slices.Contains(drawn, filepath.Base(path)) {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}
	checkShots(t)
}

// shot is the whole page, still.
func (b *tab) shot() []byte {
	b.t.Helper()
	eval[bool](b, still)
	defer eval[bool](b, `window.unstill() ?? true`)
	return get(b, chromedp.FullScreenshot(100))
}

// small256 reduces a picture to the 256 colors that it has most of, which is a third of the bytes and looks the same:
// pages have few colors, and shades of them at the edges of letters.
func small256(t testing.TB, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	r, often := full.Bounds(), map[color.RGBA]int{}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			often[opaque(full.At(x, y))]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int {
		return cmp.Or(often[b]-often[a], cmp.Compare(value(a), value(b)))
	})
	var palette color.Palette
	for _, c := range colors[:min(len(colors), 256)] {
		palette = append(palette, c)
	}
	reduced, nearest := image.NewPaletted(r, palette), map[color.RGBA]uint8{}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := opaque(full.At(x, y))
			if _, known := nearest[c]; !known {
				nearest[c] = uint8(palette.Index(c))
			}
			reduced.SetColorIndex(x, y, nearest[c])
		}
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opaque(c color.Color) color.RGBA {
	r, g, b, _ := c.RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}
}

func value(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

// keep writes a picture unless the file shows the same.
func keep(t testing.TB, path string, picture []byte) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err == nil && samePixels(old, picture) {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is new", path)
}

func samePixels(a, b []byte) bool {
	x, errA := png.Decode(bytes.NewReader(a))
	y, errB := png.Decode(bytes.NewReader(b))
	if errA != nil || errB != nil || x.Bounds() != y.Bounds() {
		return false
	}
	r := x.Bounds()
	for at := r.Min; at.Y < r.Max.Y; at.Y++ {
		for at.X = r.Min.X; at.X < r.Max.X; at.X++ {
			if !sameColor(x, y, at) {
				return false
			}
		}
	}
	return true
}

func sameColor(x, y image.Image, at image.Point) bool {
	r, g, b, a := x.At(at.X, at.Y).RGBA()
	r2, g2, b2, a2 := y.At(at.X, at.Y).RGBA()
	return r == r2 && g == g2 && b == b2 && a == a2
}

func shots(t testing.TB) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(shotsDir, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func checkShots(t *testing.T) {
	list := shots(t)
	if len(list) == 0 || len(list) > mostShots {
		t.Errorf("%d screenshots, want 1 to %d", len(list), mostShots)
	}
	for _, path := range list {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > mostBytes {
			t.Errorf("%s has %d bytes, want at most %d", path, len(content), mostBytes)
		}
		if _, err := png.DecodeConfig(bytes.NewReader(content)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, name := range []string{"home.png", "verify.png"} {
		if !slices.Contains(list, filepath.Join(shotsDir, name)) {
			t.Errorf("%s is missing", name)
		}
	}
}
