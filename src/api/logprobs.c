#include "api/completion.h"
#include "api/pieces.h"

#include "base/utf8.h"

#include <string.h>

/* The log probabilities of a completion: tokens, their values, the likeliest alternatives, and where each begins. */

/* {"text": logprob, …}: the token itself first, then the likeliest. Of tokens that look the same only one can have the name
 * in a JSON object: the likeliest, even where it is not the chosen one, so that the largest value is always there. Clients
 * compare the chosen token's value with it to see whether the choice was greedy. */
static void put_tops(sl__answer *a, const sl_event *ev, sl_buffer *out) {
    size_t start[SL_TOP_LOGPROBS + 2];
    float value[SL_TOP_LOGPROBS + 1];
    int count = 0;
    sl_buffer *key = &a->key;
    sl_buffer_clear(key);
    start[0] = 0;
    for (int i = -1; i < ev->top_count && count <= SL_TOP_LOGPROBS; i++) {
        int32_t token = i < 0 ? ev->token : ev->top[i].token;
        float logprob = i < 0 ? ev->logprob : ev->top[i].logprob;
        if (i >= 0 && token == ev->token) continue;
        sl__put_token(a, token, key);
        if (key->failed) break;
        size_t len = key->len - start[count];
        int twin = 0;
        while (twin < count && (start[twin + 1] - start[twin] != len || memcmp(key->data + start[twin], key->data + start[count], len)))
            twin++;
        if (twin < count) {
            if (logprob > value[twin]) value[twin] = logprob;
            key->len = start[count];
        } else {
            value[count++] = logprob;
            start[count] = key->len;
        }
    }
    if (key->failed) out->failed = true;
    sl_buffer_append(out, "{", 1);
    for (int i = 0; i < count && !key->failed; i++) {
        if (i) sl_buffer_append(out, ",", 1);
        sl_buffer_append(out, key->data + start[i], start[i + 1] - start[i]);
        sl_buffer_append(out, ":", 1);
        sl_buffer_float(out, value[i]);
    }
    sl_buffer_append(out, "}", 1);
}

/* --- where a token begins --- */

#define LOOK_AHEAD 32 /* bytes in which a token is looked for when the text does not go on with it */

static bool stands_at(const char *text, size_t len, size_t at, const char *piece, size_t piece_len) {
    return at <= len && piece_len <= len - at && !memcmp(text + at, piece, piece_len);
}

/* Moves to byte `to` of the text. A byte inside a character belongs to the character that began before it. */
static void move(sl__place *p, const char *text, size_t to) {
    p->character += sl_utf8_count(text + p->byte, to - p->byte);
    p->byte = to;
}

static size_t here(const sl__place *p, const char *text, size_t len) {
    bool inside = p->byte < len && ((unsigned char)text[p->byte] & 0xC0) == 0x80;
    return p->character - (inside && p->character ? 1 : 0);
}

/* The prompt was sent as text, which is echoed as it is, while its tokens may spell it otherwise: an added begin of sequence
 * stands nowhere, SentencePiece puts a space in front, a normalizer rewrites, a special token may swallow white space. So
 * each token is looked for from where the one before it ended. */
static size_t place_in_text(const sl_tokenizer *t, sl__place *p, int32_t token, bool added, const sl_buffer *piece, const char *text,
                            size_t len) {
    size_t skip = 0, drop = 0;
    bool found = piece->len && !added && stands_at(text, len, p->byte, piece->data, piece->len);
    if (!found && !added && piece->len > 1 && piece->data[0] == ' ' && !sl_tokenizer_special(t, token)) {
        drop = stands_at(text, len, p->byte, piece->data + 1, piece->len - 1);
        found = drop;
    }
    while (!found && !added && piece->len && skip < LOOK_AHEAD && p->byte + skip < len)
        found = stands_at(text, len, p->byte + ++skip, piece->data, piece->len);
    if (found) move(p, text, p->byte + skip);
    size_t at = here(p, text, len);
    if (found) {
        move(p, text, p->byte + piece->len - drop);
    } else if (!added && !sl_tokenizer_special(t, token)) { /* rewritten: as many characters as it has */
        size_t to = p->byte;
        for (size_t n = sl_utf8_count(piece->data, piece->len); n && to < len; n--)
            do to++;
            while (to < len && ((unsigned char)text[to] & 0xC0) == 0x80);
        move(p, text, to);
    }
    return at;
}

/* The prompt was sent as tokens: its text is what they give. */
static size_t place_in_tokens(sl__answer *a, sl__place *p, int32_t token) {
    const sl_tokenizer *t = a->ask->api->config.tokenizer;
    size_t at = p->character + sl_detokenize_broken(t, &p->detokenizer, token, a->ask->fields.skip_special);
    sl_buffer_clear(&a->piece);
    sl_detokenize(t, &p->detokenizer, token, a->ask->fields.skip_special, &a->piece);
    p->character += sl_utf8_count(a->piece.data, a->piece.len);
    return at;
}

static size_t place(sl__answer *a, sl__place *at, const sl__prompt *prompt, int32_t token) {
    const sl_tokenizer *t = a->ask->api->config.tokenizer;
    if (prompt->tokens) return place_in_tokens(a, at, token);
    bool added = a->ask->fields.add_special && at->token++ < (size_t)sl_tokenizer_prefix(t);
    sl_buffer_clear(&a->piece);
    sl_tokenizer_piece(t, token, &a->piece);
    return place_in_text(t, at, token, added, &a->piece, prompt->text, prompt->len);
}

/* --- an event --- */

void sl__logprobs_collect(sl__answer *a, const sl_event *ev) {
    const sl__fields *f = &a->ask->fields;
    const sl__prompt *prompt = &a->ask->prompt[ev->choice / (int)f->n];
    sl_buffer *b = a->choice[ev->choice].buffer;
    sl__place *at = (sl__place *)a->own + ev->choice;
    bool echoed = ev->kind == SL_EVENT_PROMPT_TOKEN;
    for (int i = SL__TOKENS; i <= SL__OFFSETS; i++) sl__comma(&b[i]);
    sl_buffer_printf(&b[SL__OFFSETS], "%zu", echoed ? place(a, at, prompt, ev->token) : (f->echo ? prompt->characters : 0) + ev->begin);
    if (a->piece.failed) b[SL__OFFSETS].failed = true;
    sl__put_token(a, ev->token, &b[SL__TOKENS]);
    if (ev->has_logprob) {
        sl_buffer_float(&b[SL__LOGPROBS], ev->logprob);
        put_tops(a, ev, &b[SL__TOPS]);
    } else {
        sl_buffer_puts(&b[SL__LOGPROBS], "null");
        sl_buffer_puts(&b[SL__TOPS], "null");
    }
}
