/* tokenizer.h: text to token ids and back.
 * Constant after opening, any thread; the caller owns outputs.
 *
 * Two kinds of vocabulary are read, each from a folder's tokenizer.json or from GGUF's arrays: byte-level BPE (a text is cut
 * into words by patterns, their bytes are merged) and SentencePiece-style BPE (characters are merged; those that are no
 * token become tokens of their bytes).
 *
 * Invariants
 *   1. Ids equal those of the reference (the tokenizers package, or llama.cpp for GGUF-only rules).
 *   2. Time is O(n log n) in the length of the text whatever the text is: 1 MB of one letter, of spaces, of newlines, of
 *      combining marks or of broken UTF-8 takes less than two seconds.
 *   3. What a tokenizer.json asks for and this does not do is an error at opening, never other ids.
 *   4. Control tokens are produced from text only where the caller says the text is markup (Promise 6). */
#ifndef SL_TEXT_TOKENIZER_H
#define SL_TEXT_TOKENIZER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/notes.h"
#include "base/vocab.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_tokenizer sl_tokenizer;

/* Makes a tokenizer from either form; it keeps nothing of the source. SL_UNSUPPORTED and SL_FORMAT name what is at fault. */
sl_status sl_tokenizer_open(const sl_vocab_source *v, sl_tokenizer **ret, sl_error *e);
sl_tokenizer *sl_tokenizer_free(sl_tokenizer *t);

/* What was odd about the vocabulary and was passed over, for the user to read. The tokenizer owns it. */
const sl_notes *sl_tokenizer_notes(const sl_tokenizer *t);

/* The vocabulary of a folder, from which t was opened, in GGUF's form (a source for sl_tokenizer_open): what it points to lies
 * in the arena. SL_UNSUPPORTED says what GGUF has no form for; smaller things are noted. */
sl_status sl_tokenizer_to_gguf(const sl_tokenizer *t, const sl_vocab_source *folder, sl_arena *arena, sl_vocab_source *ret,
                               sl_notes *notes, sl_error *e);

/* What encode does with text that spells a special token. */
typedef enum sl_markup {
    SL_CONTENT, /* special tokens are ordinary text */
    SL_MARKUP,  /* special tokens in the text become themselves */
} sl_markup;

/* Token ids: the array grows with sl_realloc; free it with sl_free. */
typedef struct sl_ids {
    int32_t *id;
    size_t count, cap;
} sl_ids;
bool sl_ids_add(sl_ids *ids, int32_t id); /* false: out of memory, and nothing is added */

/* Appends the ids of text[0 … len) to *ids. Bytes that are no UTF-8 become
 * U+FFFD first, one for each maximal ill-formed part, as Python's bytes.decode(errors="replace") does. add_special: with
 * the tokens that the vocabulary's rules put around a text (bos, eos). SL_TOO_LONG: there would be more than `most` ids;
 * SL_INVALID: one of them has no row in the model's embedding. On any failure *ids is as before. */
sl_status sl_tokenizer_encode(const sl_tokenizer *t, const char *text, size_t len, sl_markup markup, bool add_special,
                              size_t most, sl_ids *ids, sl_error *e);

/* The same for a long text, calling pause(arg) every thousand ids or so; when that returns false: SL_CANCELLED. */
sl_status sl_tokenizer_encode_pausing(const sl_tokenizer *t, const char *text, size_t len, sl_markup markup, bool add_special,
                                      size_t most, bool (*pause)(void *), void *arg, sl_ids *ids, sl_error *e);
/* A text that is made of parts, as a chat template makes it: one text to the tokenizer, which merges across parts as if there
 * were none, but only what stands in markup as a whole can be a special token. So for parts without the text of a special token
 * in content the ids are those of encode with SL_MARKUP. The parts cover the text, which must be UTF-8 (else SL_INVALID). */
typedef struct sl_text_part {
    size_t len; /* bytes */
    sl_markup markup;
} sl_text_part;
sl_status sl_tokenizer_encode_parts(const sl_tokenizer *t, const char *text, const sl_text_part *part, size_t parts,
                                    bool add_special, size_t most, bool (*pause)(void *), void *arg, sl_ids *ids, sl_error *e);
/* A lower bound of the ids that encode would give, without tokenising: bytes over the longest token's. 0 where none can be
 * proven, because this tokenizer may drop or compose what is in the text. */
size_t sl_tokenizer_least(const sl_tokenizer *t, const char *text, size_t len);

int sl_tokenizer_count(const sl_tokenizer *t);          /* ids are 0 … count-1 */
int sl_tokenizer_bos(const sl_tokenizer *t);            /* -1: none */
int sl_tokenizer_eos(const sl_tokenizer *t);            /* the main one; -1: none */
bool sl_tokenizer_ends(const sl_tokenizer *t, int id);  /* does an answer end with it (eos, end of turn, of message)? */
bool sl_tokenizer_special(const sl_tokenizer *t, int id); /* control token: not shown in text unless asked */
bool sl_tokenizer_adds_bos(const sl_tokenizer *t);
/* The special token whose text is exactly this, or -1: a stop string that is one has to match the token, since special
 * tokens are not shown in an answer's text. */
int sl_tokenizer_special_id(const sl_tokenizer *t, const char *text, size_t len);
int sl_tokenizer_prefix(const sl_tokenizer *t);           /* ids that add_special puts before a text's own */
size_t sl_tokenizer_memory(const sl_tokenizer *t);        /* bytes of its tables, for the memory plan */

/* The bytes that id stands for inside a text (a byte token is one byte, perhaps part of a character). Special tokens give
 * their spelling. Never fails: an id out of range gives nothing. */
void sl_tokenizer_piece(const sl_tokenizer *t, int id, sl_buffer *out);

/* Detokenizing as a stream: the text of the ids so far, never cut inside a UTF-8 character. Zero-initialise; holds back at
 * most 3 bytes; has no memory of its own. SentencePiece vocabularies drop a space at the start of a text: set `started`
 * for a text that goes on after another, which keeps it. */
typedef struct sl_detokenizer {
    uint8_t held[4];
    uint8_t held_len;
    bool started;      /* the text has begun */
    bool repair_bytes; /* set by sl_detokenize */
} sl_detokenizer;

/* Appends what becomes certain with this id. skip_special: control tokens give nothing. */
void sl_detokenize(const sl_tokenizer *t, sl_detokenizer *d, int id, bool skip_special, sl_buffer *out);
/* Characters that an unfinished one will have turned into when id begins: 0 if id goes on with it or nothing is unfinished.
 * Together with the characters given out so far it says where in the text id begins. id -1: the end of the text. */
size_t sl_detokenize_broken(const sl_tokenizer *t, const sl_detokenizer *d, int id, bool skip_special);
/* The end: an unfinished character becomes U+FFFD. Bytes that can be no UTF-8 become U+FFFD as soon as that is certain:
 * one for each maximal ill-formed part of a byte-level vocabulary, one for each byte of byte tokens, as the reference. */
void sl_detokenize_end(sl_detokenizer *d, sl_buffer *out);
/* The text of a list of ids. */
void sl_tokenizer_decode(const sl_tokenizer *t, const int32_t *ids, size_t count, bool skip_special, sl_buffer *out);

/* The most bytes that one id can add to a text: for planning buffers. */
size_t sl_tokenizer_longest(const sl_tokenizer *t);

#endif
