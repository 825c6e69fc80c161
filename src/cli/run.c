#include "cli/cli.h"

#include "cli/experts.h"
#include "cli/load.h"
#include "cli/plan.h"
#include "cli/teller.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* `sluice run`: one completion to the terminal, streamed; the engine as the server runs it, with one client. */

/* Where the text goes: to standard output as it comes, or into a buffer. */
typedef struct reader {
    bool quiet;
    sl_buffer text; /* if quiet */
    int error;      /* errno of standard output */
} reader;

static void take(void *arg, sl_request *r, const sl_event *ev) {
    reader *to = arg;
    if (to->quiet) sl_buffer_append(&to->text, ev->text, ev->text_len);
    else if (!to->error && (to->error = sl_put_out(ev->text, ev->text_len))) sl_request_cancel(r, SL_CANCEL_CLIENT);
}

static sl_expert_totals *totals_of(const sl_engine *g, const sl_hparams *hp) {
    sl_expert_totals *t = sl_calloc((size_t)hp->layers * (size_t)hp->experts + 1, sizeof *t);
    for (int l = 0; t && l < hp->layers; l++)
        for (int e = 0; e < hp->experts; e++) t[l * hp->experts + e] = sl_engine_expert(g, l, e);
    return t;
}

static int print_json(const sl_settings *s, const sl_buffer *text, const sl_usage *u, int finish, const sl_experts_report *experts) {
    sl_buffer out = {0};
    sl_buffer_puts(&out, "{\"prompt\":");
    sl_buffer_json(&out, s->prompt, strlen(s->prompt));
    sl_buffer_puts(&out, ",\"text\":");
    sl_buffer_json(&out, text->data ? text->data : "", text->len);
    sl_buffer_printf(&out, ",\"finish_reason\":\"%s\",\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
                           "\"first_token_seconds\":%.6f,\"total_seconds\":%.6f",
                     sl_finish_names[finish], (long long)u->prompt_tokens, (long long)u->generated_tokens, u->first_token_seconds,
                     u->total_seconds);
    if (experts) {
        sl_buffer_puts(&out, ",\"experts\":");
        sl_experts_json(experts, &out);
    }
    sl_buffer_puts(&out, "}\n");
    int error = out.failed ? ENOMEM : sl_put_out(out.data, out.len);
    sl_buffer_done(&out);
    return error;
}

static sl_status make_request(const sl_settings *s, const sl_engine *g, const sl_ids *ids, sl_request **ret, sl_error *e) {
    const int32_t *prompt[1] = {ids->id};
    int64_t left = s->engine.ctx - (int64_t)ids->count, most = left > 1 ? left : 1; /* none left: refused with both numbers */
    sl_request_spec spec = sl_teller_spec(s);
    spec.prompt = prompt;
    spec.prompt_len = &ids->count;
    spec.max_tokens = (int)(s->max_tokens < most ? s->max_tokens : most);
    spec.id = "run";
    if (spec.max_tokens < 1) return sl_fail_param(e, SL_MISUSE, "max-tokens", "--max-tokens: must be at least 1");
    return sl_request_new(g, &spec, ret, e);
}

static void print_stats(const sl_usage *u, const sl_experts_report *experts) {
    double decode = u->total_seconds - u->first_token_seconds;
    sl_buffer table = {0};
    sl_experts_text(experts, &table);
    fprintf(stderr, "\n%lld prompt tokens, first token after %.3f s (%.1f tokens/s); %lld tokens at %.1f tokens/s\n%s",
            (long long)u->prompt_tokens, u->first_token_seconds,
            u->first_token_seconds > 0 ? (double)u->prompt_tokens / u->first_token_seconds : 0, (long long)u->generated_tokens,
            decode > 0 ? (double)(u->generated_tokens - 1) / decode : 0, sl_buffer_text(&table));
    sl_buffer_done(&table);
}

/* After the request is over: what is said of it beside its text. Returns the exit status. */
static int report(const sl_settings *s, const sl_engine *g, const sl_request *r, const sl_buffer *text, int error) {
    const sl_hparams *hp = &s->engine.model->hp;
    sl_usage u = sl_request_usage(r);
    int finish = sl_request_finish(r);
    sl_expert_totals *totals = s->stats ? totals_of(g, hp) : NULL;
    sl_experts_report experts = {hp->layers, totals ? hp->experts : 0, hp->experts_used, hp->sparse, totals};
    if (!error) error = s->json ? print_json(s, text, &u, finish, totals ? &experts : NULL) : sl_put_out("\n", 1);
    if (s->stats) print_stats(&u, &experts);
    sl_free(totals);
    if (error) fprintf(stderr, "sluice run: standard output cannot be written: %s\n", strerror(error));
    else if (!sl_finish_good(finish)) fprintf(stderr, "sluice run: %s\n", sl_request_failure(r));
    return !error && sl_finish_good(finish) ? 0 : 1;
}

int sl_run(sl_settings *s) {
    sl_error err;
    sl_loaded loaded = {0};
    sl_plan plan;
    sl_engine *g = NULL;
    sl_request *r = NULL;
    sl_ids ids = {0};
    reader to = {.quiet = s->json};
    sl_teller t;
    int status = 1;
    sl_status st;
    sl_teller_init(&t, &s->engine);
    if ((st = sl_load(s->model, &loaded, &err))) goto fail;
    sl_loaded_warn(&loaded, "run");
    s->engine.tokenizer = loaded.tokenizer;
    if ((st = sl_plan_make(s, loaded.model, &plan, &err)) ||
        (st = sl_tokenizer_encode(loaded.tokenizer, s->prompt, strlen(s->prompt), SL_MARKUP, true, strlen(s->prompt) + 16, &ids,
                                  &err)))
        goto fail;
    if (ids.count == 0) {
        st = sl_fail(&err, SL_MISUSE, "the prompt is empty");
        goto fail;
    }
    if ((st = sl_engine_new(&s->engine, &g, &err)) || (st = make_request(s, g, &ids, &r, &err)) ||
        (st = sl_engine_submit(g, r, &err)))
        goto fail;
    sl_teller_follow(&t, g, r, take, &to);
    status = report(s, g, r, &to.text, to.error);
fail:
    if (st) {
        fprintf(stderr, "sluice run: %s\n", err.message);
        status = err.code == SL_MISUSE ? 2 : 1;
    }
    sl_request_free(r);
    sl_engine_free(g);
    sl_unload(&loaded);
    sl_free(ids.id);
    sl_buffer_done(&to.text);
    sl_teller_done(&t);
    return status;
}
