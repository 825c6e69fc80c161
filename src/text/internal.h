/* internal.h: what the files of text/ share: the tokenizer's tables and the stages of encoding.
 * A tokenizer is const after opening, any thread; an sl__encoder belongs to one call of sl_tokenizer_encode.
 *
 * The stages are those of the tokenizers package, in its order:
 *   special.c      cuts the raw text at added tokens that are matched before normalising
 *   normalize.c    rewrites each piece between two cuts (NFC, a prefix, spaces to U+2581)
 *   special.c      cuts again, at the added tokens that are matched after normalising
 *   pretokenize.c  splits into words
 *   bpe.c          turns a word into symbols, merge.c merges them
 *   emit.c         takes the ids; it lies below all of them
 *
 * Invariants
 *   1. Text is well-formed UTF-8 from the first stage on (sl_tokenizer_encode repairs it).
 *   2. A byte-level vocabulary is stored as the bytes that its tokens stand for, not in the GPT-2 alphabet: nothing is
 *      mapped while encoding. */
#ifndef SL_TEXT_INTERNAL_H
#define SL_TEXT_INTERNAL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* alphabet.c: how vocabularies spell bytes */

#define SL__REPLACEMENT "\xEF\xBF\xBD"  /* U+FFFD */
#define SL__LOW_LINE "\xE2\x96\x81"     /* U+2581, SentencePiece's space */

/* GPT-2's alphabet: text in it to the bytes it stands for. false: some character is not in it, or it is no UTF-8.
 * out has room for len bytes. */
bool sl__alphabet_decode(const char *text, size_t len, char *out, size_t *ret_len);
/* "<0x0A>" to 10; -1 when the text is no such name. */
int sl__byte_name(const char *text, size_t len);
bool sl__byte_upper(const char *name); /* of such a name: are the digits as SentencePiece writes them? */

/* control.c: tokens that GGUF files are wrong about */

#define SL__KNOWN 80
int sl__known_find(const char *text, size_t len); /* number (below SL__KNOWN) of the known token with this text; -1: none */
bool sl__known_ends(int number);                  /* does it end an answer? */
bool sl__looks_control(const char *text, size_t len); /* <|…|>, which no text is made of */
bool sl__looks_named(const char *text, size_t len);   /* <…> or […]: a control token if an id says that it is a special one */

/* vocabulary.c: tokens, and the hash from text to id */

typedef struct sl__text {
    uint32_t at, len; /* in vocabulary.bytes */
} sl__text;

enum {
    SL__PRESENT = 1, /* the id has a token */
    SL__SPECIAL = 2, /* control: not shown unless asked, never made from content */
    SL__ADDED = 4,   /* matched as a whole, before the model sees the text */
    SL__BYTE = 8,    /* SentencePiece's <0xNN> */
    SL__KEYED = 16,  /* findable under its key */
};

typedef struct sl__vocabulary {
    int count;         /* ids are 0 … count-1, holes included */
    sl__text *piece;   /* [count] what the token adds to a text */
    sl__text *key;     /* [count] what the model matches */
    uint8_t *flags;    /* [count] */
    char *bytes;       /* pieces and keys */
    size_t used, room; /* of bytes */
    uint64_t *slots;   /* [mask + 1] hash << 32 | id + 1; 0: empty */
    uint32_t mask;
    uint32_t longest_key; /* bytes */
} sl__vocabulary;

sl_status sl__vocabulary_make(sl_arena *a, sl__vocabulary *v, int count, size_t bytes, sl_error *e);
bool sl__vocabulary_store(sl__vocabulary *v, const char *text, size_t len, sl__text *ret); /* false: no room */
/* Makes the id findable under its key. Of several tokens with one key the last ordinary one is found, a special one only
 * where there is no other. */
void sl__vocabulary_key(sl__vocabulary *v, int id);
int sl__vocabulary_find(const sl__vocabulary *v, const char *text, size_t len); /* id of an ordinary token, or -1 */
int sl__vocabulary_any(const sl__vocabulary *v, const char *text, size_t len);  /* special ones too */
const char *sl__vocabulary_text(const sl__vocabulary *v, sl__text t);

/* merge.c: the heart of BPE */

typedef struct sl__pair {
    uint64_t ids; /* left << 32 | right; SL__NO_PAIR: empty */
    uint32_t rank;
    int32_t merged;
} sl__pair;
#define SL__NO_PAIR UINT64_MAX
#define SL__NO_RANK UINT32_MAX

typedef struct sl__merges {
    sl__pair *slots; /* [mask + 1] */
    uint32_t mask;
} sl__merges;
sl_status sl__merges_make(sl_arena *a, sl__merges *m, int count, sl_error *e);
void sl__merges_add(sl__merges *m, int left, int right, uint32_t rank, int merged); /* the last one wins */

/* A symbol of the word that is being merged; merging joins a symbol with its right neighbour in place. */
typedef struct sl__symbol {
    int32_t id;      /* -1: no token has this text */
    uint32_t rank;   /* of the pair that begins here; SL__NO_RANK: none */
    int32_t merged;  /* what that pair becomes */
    int32_t prev, next; /* indices; -1: none */
    uint32_t at, len;   /* bytes of the word */
} sl__symbol;

struct sl__encoder;
/* Merges symbols[0 … n) of the word until no pair is left that may be merged; what is left is linked from symbol 0 on. */
sl_status sl__merge(struct sl__encoder *en, const char *word, size_t n);

/* special.c: added tokens */

typedef struct sl__added {
    int32_t id;
    bool special, single_word, lstrip, rstrip;
} sl__added;

typedef struct sl__trie_node {
    int32_t child, sibling; /* -1: none */
    int32_t token;          /* index into added; -1: none ends here */
    uint8_t byte;
} sl__trie_node;

typedef struct sl__trie {
    int32_t root[256]; /* node of each first byte; -1: none */
    sl__trie_node *node;
    int nodes, room;
    sl__added *added;
    int count, cap;
} sl__trie;
sl_status sl__trie_make(sl_arena *a, sl__trie *t, int tokens, size_t bytes, sl_error *e);
sl_status sl__trie_add(sl__trie *t, const char *text, size_t len, const sl__added *token, sl_error *e);
const sl__added *sl__trie_find(const sl__trie *t, const char *text, size_t len); /* of exactly this text; NULL: none */

/* Cuts the text at the trie's tokens, whose ids are emitted; each piece between two of them, if not empty, goes to
 * `between`. */
typedef sl_status sl__between(struct sl__encoder *en, const char *text, size_t len, bool first);
sl_status sl__trie_cut(struct sl__encoder *en, const sl__trie *t, const char *text, size_t len, bool first,
                       sl__between *between);

/* normalize.c */

typedef enum sl__form { SL__NFC, SL__NFD, SL__NFKC, SL__NFKD, SL__PREPEND, SL__REPLACE } sl__form;
typedef struct sl__normalizer {
    sl__form kind;
    const char *from, *to; /* REPLACE: from → to; PREPEND: to */
    uint32_t from_len, to_len;
} sl__normalizer;
#define SL__NORMALIZERS 8
/* The result is the text itself when nothing changes it, else it lies in one of the two buffers. */
sl_status sl__normalize(const sl__normalizer *steps, int count, const char *text, size_t len, sl_buffer buffers[2],
                        const char **ret, size_t *ret_len, sl_error *e);

/* pretokenize.c */

typedef enum sl__prepend { SL__PREPEND_ALWAYS, SL__PREPEND_FIRST, SL__PREPEND_NEVER } sl__prepend;
typedef struct sl__splitter {
    enum { SL__SPLIT, SL__METASPACE, SL__PREFIX_SPACE } kind;
    const struct sl__scanner *scanner; /* SPLIT: finds the matches; NULL: code does */
    pcre2_code *code;
    enum { SL__CUT_MATCHES, SL__CUT_NUMBERS, SL__CUT_THOUSANDS } cut; /* SPLIT: at matches; matches, in threes; threes only */
    bool keep_gaps, keep_matches; /* SPLIT: what becomes a word */
    sl__prepend prepend; /* METASPACE */
    bool split;          /* METASPACE: cut before each U+2581 */
    const char *pattern; /* SPLIT: for messages */
} sl__splitter;
#define SL__SPLITTERS 8
/* pattern: Oniguruma's dialect as tokenizer.json has it, or (literal) the text itself. */
sl_status sl__splitter_compile(sl_arena *a, const char *pattern, size_t len, bool literal, const char *origin,
                               sl__splitter *ret, sl_error *e);
void sl__splitter_done(sl__splitter *s);
sl_status sl__pretokenize(struct sl__encoder *en, const char *text, size_t len, bool first);

/* pcre.c */
sl_status sl__pcre_compile(const char *pattern, size_t len, bool literal, const char *origin, pcre2_code **ret, sl_error *e);
sl_status sl__pcre_find(struct sl__encoder *en, const sl__splitter *sp, const char *text, size_t len, size_t at,
                        bool *ret_found, size_t *ret_start, size_t *ret_stop);

/* patterns.c: what GGUF's tokenizer.ggml.pre stands for */

/* One digit for the pre-tokenizer Digits: it takes a few more for digits than patterns do (tests/reference/unicode). */
#define SL__DIGIT "[\\p{N}\U00011DE0-\U00011DE9\U00016FF4-\U00016FF6]"
typedef struct sl__pre {
    const char *names;      /* separated by spaces */
    const char *pattern[6]; /* applied in order, each one inside the words that the one before left */
    bool ignore_merges, add_bos, nfc;
} sl__pre;
const sl__pre *sl__pre_find(const char *name); /* NULL: unknown */
void sl__pre_names(sl_buffer *out);
/* A name that stands for what the tokenizer does, in the arena; NULL: there is none. *ret_space: it would be that but for a
 * space that is put before each text. */
const char *sl__pre_name(const sl_tokenizer *t, sl_arena *arena, bool *ret_space);

/* bpe.c */
sl_status sl__word(struct sl__encoder *en, const char *word, size_t len);

/* tokenizer.c */

typedef enum sl__kind {
    SL__BYTES,  /* symbols are bytes, merges have ranks */
    SL__CHARS,  /* symbols are characters, merges have ranks */
    SL__SCORES, /* symbols are characters, any two that are a token together may merge, the best score first */
} sl__kind;

struct sl_tokenizer {
    sl_arena *arena;
    const char *origin; /* path for messages */
    int rows;           /* of the model's embedding; a token at or above it is an error in a text. INT_MAX: not known */
    sl__kind kind;
    sl__vocabulary vocabulary;
    sl__merges merges;
    uint32_t *order;     /* [count] SCORES: rank by score, lower is better */
    int32_t byte_id[256]; /* BYTES: the byte's token; CHARS, SCORES: <0xNN>; -1: none */
    bool byte_fallback, fuse_unk, ignore_merges;
    bool words_at_spaces; /* no token has U+2581 after another character: a word may be cut before each of them */
    int unk;              /* -1: characters without a token are dropped */

    sl__trie before, after; /* added tokens matched before and after normalising */
    sl__trie special;       /* special tokens by their text, for finding one by name */
    sl__normalizer normalizer[SL__NORMALIZERS];
    int normalizers;
    sl__splitter splitter[SL__SPLITTERS];
    int splitters;
    int32_t *prefix, *suffix; /* what add_special puts around */
    int prefix_count, suffix_count;

    int bos, eos;
    uint8_t *ends; /* [count] */
    enum { SL__STRIP_NONE, SL__STRIP_ONE, SL__STRIP_ALL } strip; /* spaces at the start of decoded text */
    bool decode_bytes; /* CHARS: <0xNN> stands for a byte */
    bool repair_bytes; /* an ill-formed byte is one U+FFFD each (byte tokens), else one per maximal part */
    size_t longest;
    sl_notes notes;
};

/* build.c: what opening from either container shares */

sl_status sl__tokenizer_new(const char *origin, int rows, sl_tokenizer **ret, sl_error *e);
/* Stores token id as the container spells it: its piece, and (if key) the key under which merging finds it, unless it is
 * text outside the byte alphabet. Added tokens of a byte-level vocabulary stand for their own text ("café"), the others
 * are spelled in the alphabet ("cafÃ©"); both are keyed as if they were in the alphabet. */
sl_status sl__build_token(sl_tokenizer *t, int id, const char *text, size_t len, uint8_t flags, bool key, sl_error *e);
/* A token that turns out to be an added one: from now on its piece is this text. */
sl_status sl__build_raw_piece(sl_tokenizer *t, int id, const char *text, size_t len, sl_error *e);
/* *ret_known: what of a merge are tokens. Unless it is WHOLE the merge is left out; without ret_known it is an error. */
typedef enum sl__merge_known { SL__MERGE_STRANGE, SL__MERGE_PARTS, SL__MERGE_WHOLE } sl__merge_known; /* not even its parts; these; the result too */
sl_status sl__build_merge(sl_tokenizer *t, const char *left, size_t left_len, const char *right, size_t right_len,
                          uint32_t rank, sl__merge_known *ret_known, sl_buffer *scratch, sl_error *e);
sl_status sl__build_ends(sl_tokenizer *t, sl_error *e);
void sl__build_end(sl_tokenizer *t, int64_t id); /* out of range: nothing */
sl_status sl__build_around(sl_tokenizer *t, const int32_t *prefix, int prefix_count, const int32_t *suffix,
                           int suffix_count, sl_error *e);
/* Last step of opening: what follows from the tables. */
sl_status sl__build_seal(sl_tokenizer *t, sl_error *e);

/* gguf.c, hf.c: the two containers */
sl_status sl__open_gguf(const sl_vocab_source *v, sl_tokenizer **ret, sl_error *e);
sl_status sl__open_hf(const sl_vocab_source *v, sl_tokenizer **ret, sl_error *e);

/* hf_added.c: a folder's added tokens, before the vocabulary exists */

#define SL__MOST_IDS (1 << 22) /* ids of a tokenizer.json lie below */

typedef struct sl__hf_token {
    const char *text; /* in one of the documents */
    size_t len;
    int64_t id;
    bool special, single_word, lstrip, rstrip, normalized;
} sl__hf_token;

typedef struct sl__hf_added {
    sl__hf_token *token; /* [count] in the order of adding */
    size_t count, cap;
    uint32_t *slot; /* [mask + 1] number + 1 by the text's hash; 0: empty */
    uint32_t mask;
    int64_t last; /* the highest id */
    bool holes;   /* the vocabulary's ids do not go from 0 to its number of tokens; set by the caller */
    int moved;    /* tokens of tokenizer.json's list that have another id than it says */
    size_t first_moved; /* the number of the first of them */
    int64_t said;       /* the id that the list gives that one */
} sl__hf_added;

/* vocab: tokenizer.json's model.vocab, from text to id; every value was checked to be an id. config may be absent (v NULL). */
sl_status sl__hf_added_read(sl__hf_added *a, const json_t *vocab, const sl_json *file, const sl_json *config, sl_error *e);
sl__hf_token *sl__hf_added_find(const sl__hf_added *a, const char *text, size_t len); /* NULL: there is none */
void sl__hf_added_done(sl__hf_added *a);
int64_t sl__hf_vocab_id(const json_t *vocab, const char *text); /* -1: there is none */
/* A token that a file names as text or as {"content": text}. */
sl_status sl__hf_token_text(const sl_json *at, const char **ret, size_t *ret_len, sl_error *e);

/* pipeline.c: tokenizer.json's normalizer, pre_tokenizer, decoder and post_processor */

typedef enum sl__prefix_space { SL__PREFIX_NO, SL__PREFIX_YES, SL__PREFIX_AS_FILE } sl__prefix_space;
/* prefix: what a pre_tokenizer that is ByteLevel and nothing else does with add_prefix_space. */
sl_status sl__pipeline(sl_tokenizer *t, const sl_json *file, sl__prefix_space prefix, sl_error *e);
sl_status sl__pipeline_around(sl_tokenizer *t, const sl_json *file, sl_error *e);

typedef struct sl__words {
    sl__text *word; /* at, len in the text */
    size_t count, cap;
} sl__words;

/* parts.c: where a text is markup */

/* Runs of one kind, in a text or in what normalising made of a piece of it. */
typedef struct sl__runs {
    const char *text; /* [len] */
    size_t len;
    struct sl__run {
        size_t end; /* in the text */
        sl_markup markup;
    } *run;         /* [count] */
    size_t count, cap;
} sl__runs;

typedef struct sl__encoder {
    const sl_tokenizer *t;
    sl_markup markup;       /* of a text that has no parts */
    sl__runs parts;         /* of the text; count 0: it has none */
    sl__runs normal_parts;  /* of a normalised piece, where special tokens are looked for in that */
    sl_buffer joined;       /* such a piece */
    sl_ids *ids;
    size_t most; /* ids->count may not pass it */
    bool (*pause)(void *); /* called now and then; NULL: never */
    void *pause_arg;
    sl_buffer normal[2], rewritten[2];
    sl__words words[2];
    sl__symbol *symbols;
    size_t symbol_cap;
    uint64_t *heap; /* rank << 32 | symbol */
    size_t heap_cap;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    sl_error *e;
} sl__encoder;

bool sl__runs_add(sl__runs *r, size_t bytes, sl_markup markup); /* false: out of memory */
/* Bytes from `at` on that are of one kind, and which. */
size_t sl__run_at(const struct sl__encoder *en, const char *at, sl_markup *ret);
/* Normalises a piece of the text. */
sl_status sl__normalize_parts(struct sl__encoder *en, const char *text, size_t len, const char **ret, size_t *ret_len);

/* pretokenize.c: the words of *text, which are then parts of *text (rewritten where a step does that). */
sl_status sl__split_words(sl__encoder *en, const char **text, size_t len, bool first, const sl__words **ret);

/* emit.c: where ids come out */
sl_status sl__emit(sl__encoder *en, int id);

#endif
