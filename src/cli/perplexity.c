#include "cli/cli.h"

#include "base/alloc.h"
#include "cli/load.h"
#include "cli/progress.h"
#include "cli/windows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* `sluice perplexity`: how well a model foretells texts. For each file and for all together: the mean of -ln p over the
 * scored tokens, p being the probability of a token after those before it in its window; the perplexity, which is e to
 * that power; and the same in bits for each byte of the scored tokens, which can be compared between models of other
 * vocabularies.
 *
 * Which tokens are scored, ctx being --ctx and n the document's tokens:
 *
 *   --stride 0   as llama.cpp's perplexity does: windows of ctx tokens beside each other, in each the tokens
 *                ctx/2 + 1 … ctx - 1. What is left after the last whole window is not run. A document shorter than a
 *                window is one window, of which every token but the first is scored.
 *   --stride N   windows begin every N tokens, and each scores the tokens that no window before it has scored: every
 *                token but the document's first is scored once, after at least ctx - N + 1 others (the first ones
 *                after all that there are). N = ctx is what training programs report. */

typedef struct score {
    int64_t documents, tokens, scored, bytes;
    double sum, squares; /* of -ln p */
} score;

typedef struct perplexity {
    sl_settings *s;
    sl_loaded loaded;
    sl_texts texts;
    sl_windows *windows;
    score *file; /* [texts.files] */
    score all;
    float *logprob;  /* [ctx] of a window */
    sl_buffer piece; /* text of a token */
    sl_progress progress;
} perplexity;

static void add(score *to, const score *x) {
    to->documents += x->documents;
    to->tokens += x->tokens;
    to->scored += x->scored;
    to->bytes += x->bytes;
    to->sum += x->sum;
    to->squares += x->squares;
}

static double mean(const score *x) { return x->sum / (double)x->scored; }

static void count(perplexity *p, int file, score x) {
    add(&p->file[file], &x);
    add(&p->all, &x);
}

/* Scores the tokens [first, end) of a document in a window that begins at `begin`. */
static sl_status score_window(perplexity *p, const int32_t *id, size_t begin, size_t first, size_t end, int file,
                              sl_error *e) {
    sl_status st = sl_windows_score(p->windows, id + begin, (int)(end - begin), (int)(first - begin), p->logprob, e);
    for (size_t i = first; i < end && !st; i++) {
        double loss = -(double)p->logprob[i - first];
        sl_buffer_clear(&p->piece);
        sl_tokenizer_piece(p->loaded.tokenizer, id[i], &p->piece);
        count(p, file, (score){.scored = 1, .bytes = (int64_t)p->piece.len, .sum = loss, .squares = loss * loss});
    }
    return st;
}

/* The next window of a document of n tokens: [*begin, *end), of which the tokens from *first on are scored. All three
 * are 0 before the first window. false: there is none. */
static bool next_window(size_t ctx, size_t stride, size_t n, size_t *begin, size_t *first, size_t *end) {
    if (n < 2 || *end == n) return false;
    if (!stride) {
        if (n >= ctx && n - *end < ctx) return false;
        *begin = *end;
        *first = n < ctx ? 1 : *begin + ctx / 2 + 1;
        *end = n < ctx ? n : *begin + ctx;
        return *first < *end;
    }
    *begin = *end ? *begin + stride : 0;
    *first = *end ? *end : 1;
    *end = n - *begin < ctx + 1 ? n : *begin + ctx + 1;
    return true;
}

static void tell(perplexity *p, const sl_document *d, double part) {
    char text[64];
    if (!sl_progress_due(&p->progress)) return;
    snprintf(text, sizeof text, "perplexity so far %.4f", p->all.scored ? exp(mean(&p->all)) : 0.0);
    sl_progress_tell(&p->progress, "perplexity", (double)d->before + part * (double)d->len, (double)p->texts.bytes,
                     text);
}

static sl_status score_document(perplexity *p, const sl_document *d, sl_error *e) {
    sl_ids ids = {0};
    size_t begin = 0, first = 0, end = 0, ctx = (size_t)p->s->engine.ctx, stride = (size_t)p->s->stride;
    sl_status st = sl_tokenizer_encode(p->loaded.tokenizer, d->text, d->len, SL_CONTENT, true, d->len + 16, &ids, e);
    if (!st) count(p, d->file, (score){.documents = 1, .tokens = (int64_t)ids.count});
    while (!st && next_window(ctx, stride, ids.count, &begin, &first, &end)) {
        st = score_window(p, ids.id, begin, first, end, d->file, e);
        tell(p, d, (double)end / (double)ids.count);
    }
    sl_free(ids.id);
    return st;
}

/* ---- The answer ---- */

static double bits_per_byte(const score *x) { return x->sum / log(2) / (double)x->bytes; }
/* Of the perplexity, as if the tokens' losses were independent. */
static double standard_error(const score *x) {
    double m = mean(x), variance = x->squares / (double)x->scored - m * m;
    return x->scored > 1 && variance > 0 ? exp(m) * sqrt(variance / (double)(x->scored - 1)) : 0;
}

static void put_line(const char *name, int width, const score *x, sl_buffer *out) {
    sl_buffer_printf(out, "%-*s %10lld %10lld", width, name, (long long)x->tokens, (long long)x->scored);
    if (x->scored)
        sl_buffer_printf(out, " %11.4f %12.4f +/- %-9.4f %9.4f\n", mean(x), exp(mean(x)), standard_error(x),
                         bits_per_byte(x));
    else
        sl_buffer_puts(out, "           -            -                       -\n");
}

static void put_text(const perplexity *p, sl_buffer *out) {
    int width = 4;
    for (int i = 0; i < p->texts.files; i++) {
        int n = (int)strlen(p->s->corpus[i]);
        if (n > width) width = n < 60 ? n : 60;
    }
    sl_buffer_printf(out, "%-*s %10s %10s %11s %12s     %-9s %9s\n", width, "text", "tokens", "scored", "nats/token",
                     "perplexity", "error", "bits/byte");
    for (int i = 0; i < p->texts.files; i++) put_line(p->s->corpus[i], width, &p->file[i], out);
    if (p->texts.files > 1) put_line("all", width, &p->all, out);
}

static void put_members(const score *x, sl_buffer *out) {
    sl_buffer_printf(out, "\"documents\":%lld,\"tokens\":%lld,\"scored\":%lld,\"bytes\":%lld,", (long long)x->documents,
                     (long long)x->tokens, (long long)x->scored, (long long)x->bytes);
    if (!x->scored || !isfinite(exp(mean(x))))
        sl_buffer_puts(out,
                       "\"nats_per_token\":null,\"perplexity\":null,\"perplexity_error\":null,\"bits_per_byte\":null}");
    else
        sl_buffer_printf(
            out, "\"nats_per_token\":%.9g,\"perplexity\":%.9g,\"perplexity_error\":%.9g,\"bits_per_byte\":%.9g}",
            mean(x), exp(mean(x)), standard_error(x), x->bytes ? bits_per_byte(x) : 0);
}

static void put_json(const perplexity *p, sl_buffer *out) {
    const sl_model *m = p->loaded.model;
    sl_buffer_puts(out, "{\"model\":");
    sl_buffer_json(out, m->path, strlen(m->path));
    sl_buffer_printf(out, ",\"type\":\"%s\",\"ctx\":%d,\"stride\":%d,\"files\":[", m->type, p->s->engine.ctx,
                     p->s->stride);
    for (int i = 0; i < p->texts.files; i++) {
        sl_buffer_puts(out, i ? ",{\"file\":" : "{\"file\":");
        sl_buffer_json(out, p->s->corpus[i], strlen(p->s->corpus[i]));
        sl_buffer_puts(out, ",");
        put_members(&p->file[i], out);
    }
    sl_buffer_puts(out, "],\"all\":{");
    put_members(&p->all, out);
    sl_buffer_puts(out, "}\n");
}

static sl_status run(perplexity *p, sl_error *e) {
    sl_settings *s = p->s;
    if (!s->corpus_count) return sl_fail(e, SL_MISUSE, "no text given: sluice perplexity [MODEL] FILE...");
    sl_status st = sl_texts_open(s->corpus, s->corpus_count, &p->texts, e);
    if (!st) st = sl_load(s->model, &p->loaded, e);
    if (st) return st;
    sl_loaded_warn(&p->loaded, "perplexity");
    if ((st = sl_windows_new(s, &p->loaded, NULL, NULL, &p->windows, e))) return st;
    if (s->stride > s->engine.ctx)
        return sl_fail_param(e, SL_MISUSE, "stride",
                             "--stride: windows of %d tokens (--ctx) that begin every %d would leave tokens out",
                             s->engine.ctx, s->stride);
    p->file = sl_calloc((size_t)s->corpus_count, sizeof *p->file);
    p->logprob = sl_calloc((size_t)s->engine.ctx, sizeof *p->logprob);
    if (!p->file || !p->logprob) return sl_fail(e, SL_NOMEM, "out of memory");
    for (sl_document d = {0}; !st && sl_texts_next(&p->texts, &d);) st = score_document(p, &d, e);
    sl_progress_end(&p->progress);
    if (!st && !p->all.scored) st = sl_fail(e, SL_INVALID, "nothing to score: a text needs two tokens");
    return st;
}

int sl_perplexity(sl_settings *s) {
    perplexity p = {.s = s, .progress = sl_progress_begin()};
    sl_buffer out = {0};
    sl_error err;
    sl_status st = run(&p, &err);
    if (!st) {
        if (s->json)
            put_json(&p, &out);
        else
            put_text(&p, &out);
        if (out.failed)
            st = sl_fail(&err, SL_NOMEM, "out of memory");
        else if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout))
            st = sl_fail(&err, SL_IO, "standard output cannot be written");
    }
    if (st) fprintf(stderr, "sluice perplexity: %s\n", err.message);
    sl_windows_free(p.windows);
    sl_unload(&p.loaded);
    sl_texts_close(&p.texts);
    sl_free(p.file);
    sl_free(p.logprob);
    sl_buffer_done(&p.piece);
    sl_buffer_done(&out);
    return !st ? 0 : err.code == SL_MISUSE ? 2 : 1;
}
