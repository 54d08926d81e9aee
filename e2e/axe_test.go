package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// installed is what ./setup did, once.
var installed struct {
	once sync.Once
	out  []byte
	err  error
}

// setUp installs what comes from the npm registry.
func setUp(t testing.TB) {
	t.Helper()
	installed.once.Do(func() { installed.out, installed.err = exec.Command("./setup").CombinedOutput() })
	if installed.err != nil {
		without(t, "./setup: "+installed.err.Error()+": "+string(installed.out))
	}
}

// violation is a rule that a page breaks.
type violation struct {
	ID, Help string
	Nodes    []struct {
		HTML           string
		FailureSummary string
	}
}

// accessible fails the test for each rule that the page in the tab breaks, and for text that needs scrolling sideways.
func (b *tab) accessible(name string) {
	b.t.Helper()
	setUp(b.t)
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	b.must(err)
	b.do(chromedp.Evaluate[chromedp.Void](string(axe) + "\nvoid 0"))
	// By tags, since what WCAG 2.2 has added is off by default.
	const rules = `{ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }`
	for _, v := range eval[[]violation](b, `axe.run(`+rules+`).then((r) => r.violations)`) {
		for _, n := range v.Nodes {
			b.t.Errorf("%s: %s (%s): %s: %s", name, v.Help, v.ID, n.HTML, strings.Join(strings.Fields(n.FailureSummary), " "))
		}
	}
}

// fits fails the test if the page is wider than the tab.
func (b *tab) fits(name string) {
	b.t.Helper()
	width := eval[int](b, `document.documentElement.scrollWidth`)
	room := eval[int](b, `document.documentElement.clientWidth`)
	if width > room {
		widest := eval[string](b, `[...document.querySelectorAll("body *")]
.filter((e) => e.getBoundingClientRect().right > innerWidth)
.map((e) => e.outerHTML.slice(0, 120)).slice(0, 3).join("\n")`)
		b.t.Errorf("%s: %d pixels wide in a window of %d: %s", name, width, room, widest)
	}
}
