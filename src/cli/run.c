#include "cli/cli.h"

#include "cli/load.h"
#include "cli/plan.h"

#include "base/alloc.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* `sluice run`: one completion to the terminal, streamed; the engine as the server runs it, with one client. */

static void wake(void *arg) { sem_post(arg); }

static void print_json(const sl_settings *s, const sl_buffer *text, const sl_usage *u, int finish) {
    sl_buffer out = {0};
    sl_buffer_puts(&out, "{\"prompt\":");
    sl_buffer_json(&out, s->prompt, strlen(s->prompt));
    sl_buffer_puts(&out, ",\"text\":");
    sl_buffer_json(&out, text->data ? text->data : "", text->len);
    sl_buffer_printf(&out, ",\"finish_reason\":\"%s\",\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
                           "\"first_token_seconds\":%.6f,\"total_seconds\":%.6f}",
                     sl_finish_names[finish],
                     (long long)u->prompt_tokens, (long long)u->generated_tokens, u->first_token_seconds, u->total_seconds);
    printf("%s\n", sl_buffer_text(&out));
    sl_buffer_done(&out);
}

/* Prints the text of the request as it comes; returns when the engine has let go. */
static void follow(sl_engine *g, sl_request *r, sem_t *news, bool quiet, sl_buffer *text) {
    while (!sl_request_over(r)) {
        while (sem_wait(news) && errno == EINTR) {}
        sl_event ev;
        sl_engine_take_ready(g);
        while (sl_request_next(r, &ev)) {
            if (quiet) sl_buffer_append(text, ev.text, ev.text_len);
            else if (ev.text_len) fwrite(ev.text, 1, ev.text_len, stdout);
        }
        if (!quiet) fflush(stdout);
    }
}

static sl_status make_request(const sl_settings *s, const sl_engine *g, const sl_ids *ids, sl_request **ret, sl_error *e) {
    const int32_t *prompt[1] = {ids->id};
    int64_t left = s->engine.ctx - (int64_t)ids->count;
    if (left < 1)
        return sl_fail(e, SL_TOO_LONG, "the prompt has %zu tokens, the context only %d (--ctx)", ids->count, s->engine.ctx);
    sl_request_spec spec = {.prompt = prompt,
                            .prompt_len = &ids->count,
                            .prompts = 1,
                            .n = 1,
                            .sampling = {.temperature = (float)s->temperature,
                                         .top_p = (float)s->top_p,
                                         .min_p = (float)s->min_p,
                                         .top_k = (int32_t)s->top_k,
                                         .repetition = 1,
                                         .seed = (uint64_t)s->seed,
                                         .logprobs = -1},
                            .max_tokens = (int)(s->max_tokens < left ? s->max_tokens : left),
                            .skip_special = true,
                            .prompt_logprobs = -1,
                            .stream = true,
                            .id = "run"};
    if (spec.max_tokens < 1) return sl_fail_param(e, SL_MISUSE, "max-tokens", "--max-tokens: must be at least 1");
    return sl_request_new(g, &spec, ret, e);
}

static void print_stats(const sl_usage *u) {
    double decode = u->total_seconds - u->first_token_seconds;
    fprintf(stderr, "\n%lld prompt tokens, first token after %.3f s (%.1f tokens/s); %lld tokens at %.1f tokens/s\n",
            (long long)u->prompt_tokens, u->first_token_seconds,
            u->first_token_seconds > 0 ? (double)u->prompt_tokens / u->first_token_seconds : 0, (long long)u->generated_tokens,
            decode > 0 ? (double)(u->generated_tokens - 1) / decode : 0);
}

int sl_run(sl_settings *s) {
    sl_error err;
    sl_loaded loaded = {0};
    sl_plan plan;
    sl_engine *g = NULL;
    sl_request *r = NULL;
    sl_ids ids = {0};
    sl_buffer text = {0};
    sem_t news;
    sem_init(&news, 0, 0);
    int status = 1;
    sl_status st = s->prompt ? SL_OK : sl_fail(&err, SL_MISUSE, "no prompt given");
    s->engine.max_sequences = 1;
    s->engine.queue = 1;
    s->engine.token_gap_ms = 500;
    s->engine.wake = wake;
    s->engine.wake_arg = &news;
    if (st || (st = sl_load(s->model, &loaded, &err))) goto fail;
    sl_loaded_warn(&loaded, "run");
    if ((st = sl_plan_make(s, loaded.model, &plan, &err)) ||
        (st = sl_tokenizer_encode(loaded.tokenizer, s->prompt, strlen(s->prompt), SL_MARKUP, true, strlen(s->prompt) + 16, &ids,
                                  &err)))
        goto fail;
    if (ids.count == 0) {
        st = sl_fail(&err, SL_MISUSE, "the prompt is empty");
        goto fail;
    }
    s->engine.tokenizer = loaded.tokenizer;
    if ((st = sl_engine_new(&s->engine, &g, &err)) || (st = make_request(s, g, &ids, &r, &err)) ||
        (st = sl_engine_submit(g, r, &err)))
        goto fail;
    follow(g, r, &news, s->json, &text);
    sl_usage u = sl_request_usage(r);
    int finish = sl_request_finish(r);
    if (s->json) print_json(s, &text, &u, finish);
    else printf("\n");
    if (s->stats) print_stats(&u);
    if (finish <= SL_FINISH_LENGTH) status = 0;
    else fprintf(stderr, "sluice run: %s\n", sl_request_failure(r));
fail:
    if (st) {
        fprintf(stderr, "sluice run: %s\n", err.message);
        status = err.code == SL_MISUSE ? 2 : 1;
    }
    sl_request_free(r);
    sl_engine_free(g);
    sl_unload(&loaded);
    sl_free(ids.id);
    sl_buffer_done(&text);
    sem_destroy(&news);
    return status;
}
