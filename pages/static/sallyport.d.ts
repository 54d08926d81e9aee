// Types of sallyport.js, and what a page may ask of it by attributes.
//
// One tag loads it; it must come from Config.Path, so that it knows where the endpoints are:
//
//   <script src="/mfa/static/sallyport.HASH.js" defer></script>
//
// SIGN-IN FORM OF THE SITE. One attribute, on the form or on its input for the name. Its value is the way back, or empty:
//
//   <form method="post" action="/login" data-sallyport-signin="/account">
//     <input name="username" autocomplete="username"> …
//     <button type="button" data-sallyport-signin-button hidden>Sign in with a passkey</button>
//
// The browser then offers passkeys among its suggestions for the name ("webauthn" is added to autocomplete), and the
// button, which may stand anywhere and may be left out, asks for one. The form itself works as before: a passkey that
// is not there or not wanted is not mentioned, and sending the form ends all asking.
//
// FORM OF A CEREMONY. The passkey fills in "answer", then the form is sent:
//
//   <form method="post" data-sallyport="verify" data-sallyport-prompt="{&quot;publicKey&quot;: …}">
//     <input type="hidden" name="ticket" value="…"><input type="hidden" name="answer">
//     <button>Use your passkey</button>
//
// A "verify" form asks once by itself when its page is first shown; an "enroll" form waits for its button.
//
// TEXTS, on either form or anything around it: data-sallyport-text-REASON, where REASON is a Sallyport.Reason. They are
// shown in the form's [data-sallyport-error], which is made if it is missing, with role="alert".
//
//   data-sallyport-signal='JSON'      a Sallyport.Signal for the browser
//   data-sallyport-copy="#id"         a button that copies each <code> in #id, in a line of its own
//   data-sallyport-download="#id"     a button that saves them as a file (data-filename), below data-heading
//   data-sallyport-print              a button that prints the page
//   data-sallyport-seconds="30"       text whose number counts down to 0, then data-done
//   data-sallyport-once               a form that is not sent twice
//
// Give these buttons the attribute hidden: it is taken away where they work. What a button has in data-done is said in
// [data-sallyport-said] afterwards.

declare namespace Sallyport {
  type Kind = "verify" | "enroll";

  /**
   * Why there is no answer:
   * - unsupported: the browser has no passkeys, or the page is not served securely
   * - none: no passkey or security key here can do what was asked
   * - cancelled: the user did not want to
   * - timeout: nothing happened for too long
   * - registered: this authenticator has a passkey for this account already
   * - site: the page is not on the site that the passkeys are for
   * - failed: anything else, and every reason that has no text of its own
   */
  type Reason = "unsupported" | "none" | "cancelled" | "timeout" | "registered" | "site" | "failed";

  /** The prompt of a passkey ceremony, as the server sends it. */
  interface Prompt {
    publicKey: PublicKeyCredentialCreationOptionsJSON | PublicKeyCredentialRequestOptionsJSON;
  }

  /** The answer of …/begin. */
  interface Begun {
    ticket: string;
    prompt: Prompt;
    /** RFC 3339. */
    expires: string;
  }

  /** What the browser is told about the passkeys it keeps. A list is told one by one. */
  interface Signal {
    allAcceptedCredentials?: OneOrMore<{ rpId: string; userId: string; allAcceptedCredentialIds: string[] }>;
    currentUserDetails?: OneOrMore<{ rpId: string; userId: string; name: string; displayName: string }>;
    unknownCredential?: OneOrMore<{ rpId: string; credentialId: string }>;
  }

  type OneOrMore<T> = T | T[];

  /** For pages that make their own requests. */
  interface API {
    /**
     * Asks an authenticator. The result is the "answer" of the HTTP interface. It rejects with what navigator.credentials
     * rejects with. A call that is still open is ended first.
     */
    answer(kind: Kind, prompt: Prompt, mediation?: CredentialMediationRequirement): Promise<RegistrationResponseJSON | AuthenticationResponseJSON>;

    /** Tells the browser. It never fails; browsers that cannot be told are not. */
    signal(values: Signal | undefined): void;
  }
}

interface Window {
  readonly sallyport: Sallyport.API;
}
