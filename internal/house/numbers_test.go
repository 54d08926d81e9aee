package house

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"sallyport/mfa"
)

// docs/security.md states the budget and works out the odds. Both are what the code says.
func TestSecurityPageStatesTheNumbersOfTheCode(t *testing.T) {
	page := strings.Join(strings.Fields(read(t, "docs/security.md")), " ") // however its lines are broken
	for _, want := range []string{
		fmt.Sprintf("| free tries in a row | %d | %[1]d |", mfa.FreeTries),
		fmt.Sprintf("%.0f s, doubled at each further wrong answer up to %.0f h",
			mfa.FirstWait.Seconds(), mfa.LongWait.Hours()),
		fmt.Sprintf("| judged at most | %d in 24 hours, %d in 365 days | %d in 30 days, %d in 365 days |",
			mfa.KnownADay, mfa.KnownAYear, mfa.UnknownAMonth, mfa.UnknownAYear),
		fmt.Sprintf("%d wrong answers in a row on one factor", mfa.MaxWrong),
		fmt.Sprintf("remembers at most %d in each lane", mfa.MaxAnswered),
		fmt.Sprintf("| ticket | %.0f minutes", mfa.TicketLife.Minutes()),
		fmt.Sprintf("at most %.0f minutes old; with nothing enrolled, a login at most %.0f minutes old",
			mfa.FreshProof.Minutes(), mfa.FreshLogin.Minutes()),
		fmt.Sprintf("at most %d, of them %d whose codes can be guessed", mfa.MaxFactors, mfa.MaxTyped),
		odds("0.000003", 3e-6, mfa.UnknownAYear, 5),
		odds("0.000006", 6e-6, mfa.UnknownAYear, 5),
		odds("0.00000001", 1e-8, mfa.UnknownAYear, 6),
		fmt.Sprintf("+ %d × 0.000003 = %.5f", mfa.KnownAYear, mfa.UnknownAYear*3e-6+mfa.KnownAYear*3e-6),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/security.md does not say %q", want)
		}
	}
}

// odds works out how likely n guesses hit, in the words of the page.
func odds(text string, p float64, n, digits int) string {
	return fmt.Sprintf("1 - (1 - %s)^%d = %.*f", text, n, digits, 1-math.Pow(1-p, float64(n)))
}
