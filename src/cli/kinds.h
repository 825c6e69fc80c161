/* kinds.h: what kind of text a token is, by its characters alone.
 * Any thread; pure.
 *
 * After the classes in which ST-MoE found experts to specialise (sentinels, punctuation, articles and conjunctions, verbs, names,
 * numbers), as far as characters tell them in any language: verbs take a lexicon, and of small words only the length is
 * known. A word begins with the blank before it, as tokenizers write it; without one, it goes on with a word. */
#ifndef SL_CLI_KINDS_H
#define SL_CLI_KINDS_H

#include <stdbool.h>
#include <stddef.h>

#define SL_KIND_MAP(X)                                                                                        \
    X(SPECIAL, "special")         /* a control token */                                                       \
    X(BLANK, "blank")             /* spaces, tabs, ends of lines only */                                      \
    X(PUNCTUATION, "punctuation") /* and symbols */                                                           \
    X(NUMBER, "number")           /* begins with a digit */                                                   \
    X(CAPITAL, "capital")         /* begins with a capital letter: names, German nouns, constants */          \
    X(SMALL, "small word")        /* blank, then one to three letters: articles, conjunctions, … */           \
    X(WORD, "word")               /* blank, then more */                                                      \
    X(PART, "word part")          /* no blank before it */                                                    \
    X(BYTES, "bytes")             /* part of a character */

typedef enum sl_kind {
#define X(name, text) SL_KIND_##name,
    SL_KIND_MAP(X)
#undef X
        SL_KINDS
} sl_kind;

extern const char *const sl_kind_names[SL_KINDS];

/* Of the bytes that a token stands for. */
sl_kind sl_kind_of(const char *text, size_t len, bool special);

#endif
