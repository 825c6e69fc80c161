/* POST /v1/completions: how its clients are told. */
#include "api/completion.h"
#include "api/serving.h"
#include "api/handlers.h"
#include "api/pieces.h"

static void collect(sl__answer *a, const sl_event *ev) {
    const sl__fields *f = &a->ask->fields;
    sl_buffer *b = a->choice[ev->choice].buffer;
    if (ev->kind != SL_EVENT_FINISH && f->logprobs >= 0) sl__logprobs_collect(a, ev);
    if (ev->kind == SL_EVENT_TOKEN && f->return_ids) {
        sl__comma(&b[SL__IDS]);
        sl_buffer_int(&b[SL__IDS], ev->token);
    }
    sl_buffer_append(&b[SL__TEXT], ev->text, ev->text_len);
}

enum { PART_ECHO, PART_TEXT, PART_OFFSETS, PART_LOGPROBS, PART_TOKENS, PART_TOPS, PART_FINISH, PART_IDS, PART_PROMPT_IDS, PART_END, PART_COUNT };

static bool put_part(const sl__answer *a, int i, int part, bool chunk, bool first, size_t *at, sl_buffer *out) {
    (void)chunk; /* looks the same */
    const sl__fields *f = &a->ask->fields;
    const sl__choice *ch = &a->choice[i];
    const sl_buffer *b = ch->buffer;
    const sl__prompt *p = &a->ask->prompt[i / (int)f->n];
    bool logprobs = f->logprobs >= 0;
    switch (part) {
    case PART_ECHO:
        if (*at == 0) sl_buffer_printf(out, "{\"index\":%d,\"text\":\"", i);
        return first && f->echo && sl__slice_text(p->text, p->len, at, out);
    case PART_TEXT:
        if (sl__slice_text(b[SL__TEXT].data, b[SL__TEXT].len, at, out)) return true;
        sl_buffer_puts(out, logprobs ? "\",\"logprobs\":{" : "\",\"logprobs\":null");
        return false;
    case PART_OFFSETS: return logprobs && sl__slice_array("\"text_offset\":", &b[SL__OFFSETS], at, out);
    case PART_LOGPROBS: return logprobs && sl__slice_array(",\"token_logprobs\":", &b[SL__LOGPROBS], at, out);
    case PART_TOKENS: return logprobs && sl__slice_array(",\"tokens\":", &b[SL__TOKENS], at, out);
    case PART_TOPS: return logprobs && sl__slice_array(",\"top_logprobs\":", &b[SL__TOPS], at, out);
    case PART_FINISH:
        if (logprobs) sl_buffer_append(out, "}", 1);
        sl__put_finish(a, ch, out);
        return false;
    case PART_IDS: return f->return_ids && sl__slice_array(",\"token_ids\":", &b[SL__IDS], at, out);
    case PART_PROMPT_IDS: return f->return_ids && first && sl__slice_ids(",\"prompt_token_ids\":", &p->ids, at, out);
    default: sl_buffer_append(out, "}", 1); return false;
    }
}

static const sl__layout layout = {PART_COUNT, put_part, "text_completion", "text_completion"};

static bool whole(sl__answer *a, sl_buffer *out) { return sl__layout_whole(&layout, a, out); }
static void chunk(sl__answer *a, int choice, sl_buffer *out) { sl__layout_chunk(&layout, a, choice, out); }
static void usage(sl__answer *a, sl_buffer *out) { sl__layout_usage(&layout, a, out); }

const sl__writer sl__completion_writer = {.prefix = "cmpl-", .name = "completion", .choice_size = sizeof(sl__place), .collect = collect,
                                          .whole = whole, .chunk = chunk, .usage = usage, .error = sl__event_error, .end = sl__event_end};

void sl__completions_post(void *api, sl_http_exchange *x) { sl__serving_begin(api, x, &sl__completion_reader, &sl__completion_writer); }
