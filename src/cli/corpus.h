/* corpus.h: the texts of `sluice experts`: the command line's files and folders, as domains of token ids.
 * The main thread; the caller owns the corpus.
 *
 *     FILE         a domain named after the file, without .txt
 *     FOLDER       one domain: its files, those of folders in it too, in sorted order, without hidden ones
 *     NAME=PATH    either, called NAME; the same NAME again adds to the domain
 *     -            standard input
 *
 * Two files of the same name in different folders are told apart by their paths as given. A text is read in pieces of
 * 256 KiB, cut at the ends of lines, and no more of it than the cap on tokens asks for. A NUL here and there separates the
 * documents of a file, of which each has a context of its own; a file of many is binary. */
#ifndef SL_CLI_CORPUS_H
#define SL_CLI_CORPUS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/notes.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_CORPUS_DOMAINS 256

typedef struct sl_domain {
    const char *name;
    bool named;           /* by NAME= */
    const char *argument; /* that it comes from: its path */
    const char **file;    /* [files] that gave ids; "-": standard input */
    int files;
    sl_ids ids;
    size_t *end;          /* [documents] ids up to the end of each document, all different, ascending */
    size_t documents, end_cap;
    bool more;            /* there is more text than the cap let in */
} sl_domain;

typedef struct sl_corpus {
    sl_domain domain[SL_CORPUS_DOMAINS];
    int domains;
    uint64_t tokens; /* in all */
    sl_notes notes;  /* files of folders that were passed over, bytes that are no UTF-8 */
    sl_arena *arena; /* names and paths */
} sl_corpus;

/* most: tokens of a domain; 0: all. go_on is asked before every piece; false ends it with SL_CANCELLED. Errors name the file: not there,
 * empty, binary. In a folder such a file is passed over with a note, and a folder of nothing else is an error. */
sl_status sl_corpus_read(const char *const *arguments, int count, const sl_tokenizer *t, uint64_t most, bool (*go_on)(void),
                         sl_corpus **ret, sl_error *e);
sl_corpus *sl_corpus_free(sl_corpus *c); /* NULL is fine; returns NULL */

#endif
