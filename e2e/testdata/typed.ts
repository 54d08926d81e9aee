// Never run: the compiler checks with it that the types say what a page of one's own needs to know.
export async function prove(begun: Sallyport.Begun): Promise<string> {
  const answer = await window.sallyport.answer("verify", begun.prompt, "conditional");
  return JSON.stringify({ ticket: begun.ticket, answer, id: answer.id });
}

// @ts-expect-error: there are two kinds of ceremony
export const other = (p: Sallyport.Prompt) => window.sallyport.answer("sign", p);

// @ts-expect-error: a passkey is known by its RP ID and its id
window.sallyport.signal({ unknownCredential: { rpId: "example.com" } });

// @ts-expect-error: what the script has put there stays
window.sallyport = {} as Sallyport.API;
