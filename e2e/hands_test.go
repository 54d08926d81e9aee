package e2e_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hands are a way to use pages. Both find things by the name that a screen reader says.
type hands interface {
	// reach brings a link, button or field into use.
	reach(b *tab, name string)
	// use activates a link or button that leads on, and returns the status of the page that follows.
	use(b *tab, name string) int
	// press activates a link or button, and does not wait for what follows.
	press(b *tab, name string)
	// enter replaces what a field holds.
	enter(b *tab, name, text string)
}

// named is a JavaScript expression for the element whose name begins so, the whole name before a longer one.
func named(name string) string {
	quoted, _ := json.Marshal(name)
	return `((want) => {
const name = (e) => e.getAttribute("aria-label") ?? (e.labels?.length ? e.labels[0] : e).textContent;
const said = (e) => name(e).trim().replace(/\s+/g, " ");
const list = [...document.querySelectorAll("a[href], button, input:not([type=hidden])")]
	.filter((e) => e.checkVisibility());
return list.find((e) => said(e) === want) ?? list.find((e) => said(e).startsWith(want));
})(` + string(quoted) + `)`
}

// mouse clicks.
type mouse struct{}

func (mouse) reach(b *tab, name string) {
	b.t.Helper()
	b.until(named(name))
	eval[bool](b, `{ document.querySelector("[data-test-here]")?.removeAttribute("data-test-here");
`+named(name)+`.setAttribute("data-test-here", "") ?? true }`)
}

func (m mouse) use(b *tab, name string) int {
	b.t.Helper()
	m.reach(b, name)
	return b.follow("[data-test-here]")
}

func (m mouse) press(b *tab, name string) {
	b.t.Helper()
	m.reach(b, name)
	b.click("[data-test-here]")
}

func (m mouse) enter(b *tab, name, text string) {
	b.t.Helper()
	m.reach(b, name)
	b.click("[data-test-here]")
	b.replace(text)
}

// keyboard never touches anything else.
type keyboard struct{}

// reach presses Tab until the focus is where it should be, and checks that it can be seen.
func (keyboard) reach(b *tab, name string) {
	b.t.Helper()
	b.until(named(name))
	at := `document.activeElement === ` + named(name)
	for range 80 {
		if eval[bool](b, at) {
			ring := eval[string](b, `(({ outlineStyle, outlineWidth }) =>
outlineStyle + " " + outlineWidth)(getComputedStyle(document.activeElement))`)
			if ring == "none 0px" || ring[:4] == "none" {
				b.t.Errorf("nobody sees that %q has the focus", name)
			}
			return
		}
		b.press(kb.Tab)
	}
	b.t.Fatalf("Tab does not reach %q, at %s", name, b.where())
}

func (k keyboard) use(b *tab, name string) int {
	b.t.Helper()
	k.reach(b, name)
	return b.leads(chromedp.KeyEvent(kb.Enter))
}

func (k keyboard) press(b *tab, name string) {
	b.t.Helper()
	k.reach(b, name)
	b.press(kb.Enter)
}

func (k keyboard) enter(b *tab, name, text string) {
	b.t.Helper()
	k.reach(b, name)
	b.replace(text)
}

// replace types over what the focused field holds.
func (b *tab) replace(text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`), chromedp.KeyEvent(kb.Delete))
	if text != "" {
		b.press(text)
	}
}

// eachWay runs a test by mouse and by keyboard, with and without the pages' scripts.
func eachWay(t *testing.T, test func(t *testing.T, h hands, scripts bool)) {
	t.Helper()
	for _, scripts := range []bool{true, false} {
		for name, h := range map[string]hands{"mouse": mouse{}, "keyboard": keyboard{}} {
			t.Run(fmt.Sprintf("by %s, scripts %v", name, scripts), func(t *testing.T) { test(t, h, scripts) })
		}
	}
}
