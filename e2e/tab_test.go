package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is one tab in a browser profile of its own. Its methods end the test if they fail.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string
	allow  []string // parts of faults that the test is about
}

// patience is how long a tab may be used. A test that takes longer fails and says what the tab shows.
const patience = time.Minute

// newTab opens a tab. When the test ends, so does the tab, and what the browser has complained about fails the test.
func newTab(t testing.TB) *tab {
	t.Helper()
	return newTabFor(t, patience)
}

// newTabFor opens a tab for a test that has more to see.
func newTabFor(t testing.TB, limit time.Duration) *tab {
	t.Helper()
	if browser == nil {
		without(t, "Chromium is missing: apt-get install chromium")
	}
	limited, cancel := context.WithTimeout(browser, limit)
	ctx, closeTab := chromedp.NewContext(limited, chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		b.report()
		closeTab()
		cancel()
	})
	b.must(chromedp.Listen(ctx, b.listen))
	b.watch()
	return b
}

// watch makes the browser tell what it complains about.
func (b *tab) watch() {
	b.t.Helper()
	call(b, log.Enable, struct{}{})
	call(b, audits.Enable, struct{}{})
	call(b, network.Enable, network.EnableParams{})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.size(1000, 800)
}

// listen collects what must not happen. A page that answers 4xx is a matter of the test; one that answers 5xx is not.
func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.fault("page error: %s", text)
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			text, _ := json.Marshal(e.Args)
			b.fault("console: %s", text)
		}
	case *log.EventEntryAdded:
		bad := e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning
		if bad && e.Entry.Source != log.EntrySourceNetwork {
			b.fault("browser: %s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if g := e.Issue.Details.GenericIssueDetails; g != nil && g.ErrorType == "NavigationEntryMarkedSkippable" {
			return // a page that led on by itself, as one does that offers a passkey
		}
		details, _ := json.Marshal(e.Issue.Details)
		b.fault("issue: %s: %s", e.Issue.Code, details)
	case *network.EventResponseReceived:
		if s := e.Response.Status; s >= 500 || s >= 400 && e.Type != network.ResourceTypeDocument {
			b.fault("answer: %d for %s", s, e.Response.URL)
		}
	}
}

func (b *tab) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// expect lets a fault pass whose text contains the part.
func (b *tab) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allow = append(b.allow, part)
}

func (b *tab) report() {
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, f := range b.faults {
		for _, part := range b.allow {
			if strings.Contains(f, part) {
				continue next
			}
		}
		b.t.Error(f)
	}
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%v, at %s", err, b.where())
	}
}

// where tells what the tab shows, for the message of a failure.
func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 2*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body?.innerText`))
	if err != nil {
		return "a page that does not answer: " + err.Error()
	}
	return text
}

// do runs actions that return nothing, each at most ten seconds long.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, a := range actions {
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
		err := chromedp.Do(ctx, a)
		cancel()
		b.must(err)
	}
}

// get runs an action that returns something.
func get[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 15*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	b.must(err)
	return v
}

// eval returns the value of an expression in the page; a promise is waited for.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits for an expression to be true.
func (b *tab) until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 15*time.Second)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`Boolean(`+expression+`)`))
		if ok {
			return
		}
		select {
		case <-ctx.Done(): // a page that is being replaced cannot be asked; the next one can
			b.t.Fatalf("never true: %s (%v), at %s", expression, err, b.where())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// open goes to an address and returns the status of its page.
func (b *tab) open(url string) int {
	b.t.Helper()
	return int(get(b, chromedp.NavigateResponse(url)).Status)
}

// leads runs an action that leads to another page, waits for that and returns its status.
func (b *tab) leads(a chromedp.Action[chromedp.Void]) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 15*time.Second)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, a)
	b.must(err)
	return int(response.Status)
}

// click clicks the first element of a CSS selector, without waiting for what follows.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// tryClick clicks what may have led on by itself: a call to an authenticator begins in the browser a moment after the page
// has made it, and takes whatever touch there is by then.
func (b *tab) tryClick(selector string) {
	b.t.Helper()
	quoted, _ := json.Marshal(selector)
	eval[bool](b, `{ document.querySelector(`+string(quoted)+`)?.click(); true; }`)
}

// follow clicks what leads to another page.
func (b *tab) follow(selector string) int {
	b.t.Helper()
	return b.leads(chromedp.Click(chromedp.CSS(selector)))
}

// fill replaces what a field holds, by typing.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(selector)), chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`))
	if text != "" {
		b.do(chromedp.KeyEvent(text))
	}
}

// doubleClick is two clicks as fast as they can be sent. The first may lead to another page: from then on the browser
// answers no question about the present one until the next is there, so where to click is asked before, and whether the
// second click was taken may remain unanswered.
func (b *tab) doubleClick(selector string) {
	b.t.Helper()
	quoted, _ := json.Marshal(selector)
	at := eval[[]float64](b, `(() => { const e = document.querySelector(`+string(quoted)+`);
e.scrollIntoView({ block: "center" });
const r = e.getBoundingClientRect();
return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	b.do(chromedp.MouseClickXY(at[0], at[1]))
	ctx, cancel := context.WithTimeout(b.ctx, 3*time.Second)
	defer cancel()
	chromedp.Do(ctx, chromedp.MouseClickXY(at[0], at[1], func(p *input.DispatchMouseEventParams) { p.ClickCount = 2 }))
}

// press types keys, wherever the focus is.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// text returns what can be read in the first element of a selector.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(get(b, chromedp.TextContent(chromedp.CSS(selector))))
}

// count returns how many elements a selector has.
func (b *tab) count(selector string) int {
	b.t.Helper()
	quoted, _ := json.Marshal(selector)
	return eval[int](b, `document.querySelectorAll(`+string(quoted)+`).length`)
}

// path is where the tab is.
func (b *tab) path() string {
	b.t.Helper()
	return eval[string](b, `location.pathname`)
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// dark asks pages for their dark colors.
func (b *tab) dark(on bool) {
	b.t.Helper()
	value := map[bool]string{true: "dark", false: "light"}[on]
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// forcedColors shows pages in few colors that their reader has chosen.
func (b *tab) forcedColors() {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "forced-colors", Value: "active"}, {Name: "prefers-color-scheme", Value: "dark"},
	}})
}

// scripts turns the pages' scripts on or off.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// before runs a script in each page before its own.
func (b *tab) before(script string) {
	b.t.Helper()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// beside opens another tab of the same browser profile.
func (b *tab) beside() *tab {
	b.t.Helper()
	return b.sibling()
}

// opens runs what opens another tab, and returns that.
func (b *tab) opens(action func()) *tab {
	b.t.Helper()
	mine := chromedp.FromContext(b.ctx)
	action()
	for {
		list, err := chromedp.Targets(b.ctx)
		b.must(err)
		for _, info := range list {
			if info.BrowserContextID == mine.BrowserContextID && info.TargetID != mine.Target.TargetID && info.Type == "page" {
				return b.sibling(chromedp.WithTargetID(info.TargetID))
			}
		}
	}
}

func (b *tab) sibling(options ...chromedp.ContextOption) *tab {
	b.t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx, options...)
	other := &tab{t: b.t, ctx: ctx}
	b.t.Cleanup(func() {
		other.report()
		closeTab()
	})
	other.must(chromedp.Listen(ctx, other.listen))
	other.watch()
	return other
}

// media shows pages as on a screen or on paper.
func (b *tab) media(kind string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind})
}
