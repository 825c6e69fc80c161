#include "api/completion.h"

#include "base/utf8.h"

#include <string.h>

static void comma(sl_buffer *b) {
    if (b->len) sl_buffer_append(b, ",", 1);
}

/* The echoed prompt, as it was sent or, given as tokens, as text. */
static void begin(sl__completion *c, sl__choice *ch, int prompt) {
    if (ch->begun) return;
    ch->begun = true;
    if (!c->fields.echo) return;
    if (c->prompt_text[prompt]) sl_buffer_append(&ch->text, c->prompt_text[prompt], c->prompt_text_len[prompt]);
    else
        sl_tokenizer_decode(c->api->config.tokenizer, c->prompt[prompt].id, c->prompt[prompt].count, c->fields.skip_special,
                            &ch->text);
    ch->prompt_characters = sl_utf8_count(ch->text.data, ch->text.len);
}

void sl__answer_collect(sl__completion *c, const sl_event *ev) {
    sl__choice *ch = &c->choice[ev->choice];
    int prompt = ev->choice / (int)c->fields.n;
    begin(c, ch, prompt);
    if (ev->kind == SL_EVENT_FINISH) {
        ch->ended = true;
        ch->finish = ev->finish;
        ch->stop = ev->stop;
        ch->stop_token = ev->stop_token;
        c->ended++;
        c->broken = c->broken || ev->finish > SL_FINISH_LENGTH;
    } else {
        if (c->fields.logprobs >= 0) sl__logprobs_collect(c, ch, prompt, ev);
        if (ev->kind == SL_EVENT_TOKEN) {
            c->generated++;
            if (c->fields.return_ids) {
                comma(&ch->ids);
                sl_buffer_printf(&ch->ids, "%d", ev->token);
            }
        }
    }
    ch->fresh = ch->fresh || ev->kind != SL_EVENT_PROMPT_TOKEN;
    sl_buffer_append(&ch->text, ev->text, ev->text_len);
}

static void put_array(sl_buffer *out, const char *name, const sl_buffer *inside) {
    sl_buffer_printf(out, "\"%s\":[", name);
    sl_buffer_append(out, inside->data, inside->len);
    sl_buffer_append(out, "]", 1);
}

static void put_choice(sl__completion *c, int i, bool first, sl_buffer *out) {
    sl__choice *ch = &c->choice[i];
    sl_buffer_printf(out, "{\"index\":%d,\"text\":", i);
    sl_buffer_json(out, ch->text.data ? ch->text.data : "", ch->text.len);
    if (c->fields.logprobs >= 0) {
        sl_buffer_puts(out, ",\"logprobs\":{");
        put_array(out, "text_offset", &ch->offsets);
        sl_buffer_append(out, ",", 1);
        put_array(out, "token_logprobs", &ch->logprobs);
        sl_buffer_append(out, ",", 1);
        put_array(out, "tokens", &ch->tokens);
        sl_buffer_append(out, ",", 1);
        put_array(out, "top_logprobs", &ch->tops);
        sl_buffer_append(out, "}", 1);
    } else {
        sl_buffer_puts(out, ",\"logprobs\":null");
    }
    const char *finish = !ch->ended ? "null" : ch->finish == SL_FINISH_STOP ? "\"stop\"" : "\"length\"";
    sl_buffer_printf(out, ",\"finish_reason\":%s,\"stop_reason\":", finish);
    if (ch->ended && ch->stop >= 0 && ch->stop < c->fields.stops)
        sl_buffer_json(out, c->fields.stop[ch->stop], c->fields.stop_len[ch->stop]);
    else if (ch->ended && ch->stop_token >= 0)
        sl_buffer_printf(out, "%d", ch->stop_token);
    else
        sl_buffer_puts(out, "null");
    if (c->fields.return_ids) {
        sl_buffer_append(out, ",", 1);
        put_array(out, "token_ids", &ch->ids);
        if (first) {
            const sl_ids *p = &c->prompt[i / (int)c->fields.n];
            sl_buffer_puts(out, ",\"prompt_token_ids\":[");
            for (size_t k = 0; k < p->count; k++) sl_buffer_printf(out, "%s%d", k ? "," : "", p->id[k]);
            sl_buffer_append(out, "]", 1);
        }
    }
    sl_buffer_append(out, "}", 1);
}

static void put_head(const sl__completion *c, sl_buffer *out) {
    sl_buffer_printf(out, "{\"id\":\"%s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":", c->id,
                     (long long)c->created);
    const char *name = sl_api_model_name(c->api);
    sl_buffer_json(out, name, strlen(name));
}

static void put_usage(const sl__completion *c, sl_buffer *out) {
    sl_usage u = sl__completion_usage(c);
    sl_buffer_printf(out,
                     ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
                     "\"prompt_tokens_details\":{\"cached_tokens\":%lld}}",
                     (long long)c->prompt_tokens, (long long)c->generated, (long long)(c->prompt_tokens + c->generated),
                     (long long)u.cached_tokens);
}

static void clear(sl__choice *ch) {
    sl_buffer_clear(&ch->text);
    sl_buffer_clear(&ch->tokens);
    sl_buffer_clear(&ch->logprobs);
    sl_buffer_clear(&ch->tops);
    sl_buffer_clear(&ch->offsets);
    sl_buffer_clear(&ch->ids);
    ch->fresh = false;
}

static bool failed(const sl__choice *ch) {
    return ch->text.failed || ch->tokens.failed || ch->logprobs.failed || ch->tops.failed || ch->offsets.failed || ch->ids.failed;
}

void sl__answer_chunk(sl__completion *c, int choice, sl_buffer *out) {
    sl__choice *ch = &c->choice[choice];
    bool first = !ch->sent_first;
    ch->sent_first = true;
    if (failed(ch)) out->failed = true;
    sl_buffer_puts(out, "data: ");
    put_head(c, out);
    sl_buffer_puts(out, ",\"choices\":[");
    put_choice(c, choice, first, out);
    sl_buffer_append(out, "]", 1);
    if (c->fields.continuous_usage) put_usage(c, out);
    sl_buffer_puts(out, "}\n\n");
    clear(ch);
}

void sl__answer_usage_chunk(sl__completion *c, sl_buffer *out) {
    sl_buffer_puts(out, "data: ");
    put_head(c, out);
    sl_buffer_puts(out, ",\"choices\":[]");
    put_usage(c, out);
    sl_buffer_puts(out, "}\n\n");
}

void sl__answer_error_chunk(int status, const char *message, sl_buffer *out) {
    sl_buffer_puts(out, "data: ");
    sl_api_error_json(out, status, NULL, NULL, message);
    sl_buffer_puts(out, "\n\n");
}

void sl__answer_whole(sl__completion *c, sl_buffer *out) {
    put_head(c, out);
    sl_buffer_puts(out, ",\"choices\":[");
    for (int i = 0; i < c->choices; i++) {
        if (failed(&c->choice[i])) out->failed = true;
        if (i) sl_buffer_append(out, ",", 1);
        put_choice(c, i, true, out);
    }
    sl_buffer_append(out, "]", 1);
    put_usage(c, out);
    sl_buffer_append(out, "}", 1);
}

void sl__answer_done(sl__completion *c) {
    for (int i = 0; i < c->choices; i++) {
        sl__choice *ch = &c->choice[i];
        sl_buffer_done(&ch->text);
        sl_buffer_done(&ch->tokens);
        sl_buffer_done(&ch->logprobs);
        sl_buffer_done(&ch->tops);
        sl_buffer_done(&ch->offsets);
        sl_buffer_done(&ch->ids);
    }
    sl_buffer_done(&c->piece);
    sl_buffer_done(&c->key);
}
