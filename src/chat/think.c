#include "chat/think.h"

#include <string.h>

const sl_marks sl_known_marks[] = {
    {"<think>", "</think>", NULL}, {"[THINK]", "[/THINK]", NULL}, {"<seed:think>", "</seed:think>", NULL},
    {"◁think▷", "◁/think▷", NULL}, {"<|channel>", "<channel|>", "thought"}, {NULL, NULL, NULL},
};

static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/* Is what is held white space and then the beginning of the mark? *ret_whole: all of the mark. */
static bool may_be_mark(const sl_think *t, const char *mark, bool *ret_whole) {
    size_t blank = 0, len = strlen(mark);
    while (blank < t->held_len && is_blank(t->held[blank])) blank++;
    size_t rest = t->held_len - blank;
    *ret_whole = rest == len && !memcmp(t->held + blank, mark, len);
    return *ret_whole || (rest < len && !memcmp(t->held + blank, mark, rest));
}

static void give(sl_think *t, size_t n, sl_buffer *to) {
    sl_buffer_append(to, t->held, n);
    t->held_len -= n;
    memmove(t->held, t->held + n, t->held_len);
}

/* The byte is held; what cannot belong to a mark any more is given out. A run of white space longer than what can be held is no
 * neighbour of a mark. */
static void hold(sl_think *t, const sl_marks *m, char byte, sl_buffer *thought, sl_buffer *said) {
    bool inside = t->stage == SL_THINK_INSIDE, whole;
    t->held[t->held_len++] = byte;
    while (!may_be_mark(t, inside ? m->close : m->open, &whole) || (!whole && t->held_len == SL_THINK_HELD)) {
        if (!inside) {
            t->stage = SL_THINK_SAYS;
            give(t, t->held_len, said);
            return;
        }
        give(t, 1, thought);
    }
    if (!whole) return;
    t->held_len = 0;
    t->stage = inside ? SL_THINK_ENDED : m->word ? SL_THINK_WORD : SL_THINK_BEGUN;
}

/* The byte is held as long as it may belong to the first mark's word; what is none is thought. */
static void hold_word(sl_think *t, const sl_marks *m, char byte, sl_buffer *thought) {
    size_t len = strlen(m->word);
    t->held[t->held_len++] = byte;
    if (memcmp(t->held, m->word, t->held_len) != 0) {
        t->stage = SL_THINK_INSIDE;
        give(t, t->held_len, thought);
    } else if (t->held_len == len) {
        t->held_len = 0;
        t->stage = SL_THINK_BEGUN;
    }
}

void sl_think_feed(sl_think *t, const sl_marks *m, const char *text, size_t len, sl_buffer *thought, sl_buffer *said) {
    for (size_t i = 0; i < len; i++) {
        if (t->stage == SL_THINK_WORD) {
            hold_word(t, m, text[i], thought);
            continue;
        }
        if (t->stage == SL_THINK_BEGUN || t->stage == SL_THINK_ENDED) { /* white space after a mark */
            if (is_blank(text[i])) continue;
            t->stage = t->stage == SL_THINK_BEGUN ? SL_THINK_INSIDE : SL_THINK_SAYS;
        }
        if (t->stage == SL_THINK_SAYS) {
            sl_buffer_append(said, text + i, len - i);
            return;
        }
        hold(t, m, text[i], thought, said);
    }
}

void sl_think_end(sl_think *t, sl_buffer *thought, sl_buffer *said) {
    if (t->stage == SL_THINK_HEADER) return;
    if (t->stage == SL_THINK_WORD) t->held_len = 0;
    give(t, t->held_len, t->stage == SL_THINK_INSIDE ? thought : said);
}

void sl_think_open(sl_think *t, const sl_marks *m) {
    if (t->stage != SL_THINK_UNKNOWN) return;
    t->held_len = 0;
    t->stage = m->word ? SL_THINK_WORD : SL_THINK_BEGUN;
}

void sl_think_close(sl_think *t, sl_buffer *thought) {
    if (t->stage == SL_THINK_WORD) t->held_len = 0, t->stage = SL_THINK_BEGUN;
    if (t->stage != SL_THINK_BEGUN && t->stage != SL_THINK_INSIDE) return;
    while (t->held_len && is_blank(t->held[t->held_len - 1])) t->held_len--;
    give(t, t->held_len, thought);
    t->stage = SL_THINK_ENDED;
}

/* --- channels --- */

static const char to[] = " to=";
#define TO_LEN (sizeof to - 1)

static void begin_header(sl_think *t) {
    t->stage = SL_THINK_HEADER;
    t->held_len = t->to_len = 0;
}

/* The prompt ended in "assistant", so that the answer may begin with whom its first message is for. */
static size_t hold_beginning(sl_think *t, const char *text, size_t len, sl_buffer *said) {
    size_t n = 0;
    while (n < len && t->held_len < TO_LEN && text[n] == to[t->held_len]) t->held[t->held_len++] = text[n++];
    if (t->held_len == TO_LEN) t->stage = SL_THINK_HEADER;
    if (n == len || t->stage == SL_THINK_HEADER) return n;
    t->stage = SL_THINK_SAYS;
    give(t, t->held_len, said);
    return n;
}

void sl_channels_feed(sl_think *t, const char *text, size_t len, sl_buffer *thought, sl_buffer *said) {
    size_t n = t->stage == SL_THINK_UNKNOWN ? hold_beginning(t, text, len, said) : 0;
    text += n;
    len -= n;
    if (!len) return;
    if (t->stage == SL_THINK_HEADER && len <= sizeof t->held - t->held_len) {
        memcpy(t->held + t->held_len, text, len);
        t->held_len += len;
        return;
    }
    if (t->stage == SL_THINK_HEADER) { /* it is none */
        t->stage = SL_THINK_SAYS;
        t->to_len = 0;
        give(t, t->held_len, said);
    }
    bool inside = t->stage == SL_THINK_INSIDE || t->stage == SL_THINK_BEGUN;
    sl_buffer_append(inside ? thought : said, text, len);
    *(inside ? &t->thought : &t->said) = true;
}

/* A part of a header ends, the role's or the channel's: what is kept of it is whom the message is for, unless that is the model. */
static void end_part(sl_think *t) {
    char *part = t->held + t->to_len, *found = memmem(part, t->held_len - t->to_len, to, TO_LEN);
    if (found) {
        size_t most = (size_t)(t->held + t->held_len - found), n = TO_LEN;
        while (n < most && !is_blank(found[n])) n++;
        bool own = n == TO_LEN + 9 && !memcmp(found + TO_LEN, "assistant", 9);
        if (!own) memmove(t->held, found, n);
        t->to_len = own ? 0 : n;
    }
    t->held_len = t->to_len;
}

static bool is_channel(const sl_think *t, const char *name) {
    size_t len = strlen(name);
    return t->held_len - t->to_len >= len && !memcmp(t->held + t->to_len, name, len);
}

static void begin_message(sl_think *t, sl_buffer *thought, sl_buffer *said) {
    bool final = is_channel(t, "final"), analysis = is_channel(t, "analysis");
    end_part(t);
    bool call = t->to_len && !final;
    t->stage = call || analysis ? SL_THINK_INSIDE : SL_THINK_SAYS;
    sl_buffer *out = t->stage == SL_THINK_INSIDE ? thought : said;
    if (t->stage == SL_THINK_INSIDE ? t->thought : t->said) sl_buffer_append(out, "\n", 1);
    if (call) {
        sl_buffer_append(out, t->held + 1, t->to_len - 1);
        sl_buffer_append(out, "\n", 1);
    }
    t->held_len = t->to_len = 0;
}

void sl_channels_token(sl_think *t, const sl_channels *c, int token, sl_buffer *thought, sl_buffer *said) {
    if (token < 0) return;
    if (token == c->start) {
        begin_header(t);
    } else if (token == c->constrain && t->stage == SL_THINK_HEADER) {
        if (t->held_len < sizeof t->held) t->held[t->held_len++] = ' ';
    } else if (token == c->end) {
        t->stage = SL_THINK_SAYS;
        t->held_len = t->to_len = 0;
    } else if (token == c->channel) {
        if (t->stage == SL_THINK_HEADER) end_part(t);
        else begin_header(t);
    } else if (token == c->message && t->stage == SL_THINK_HEADER) {
        begin_message(t, thought, said);
    }
}

void sl_think_left_open(const sl_marks *m, const char *text, size_t len, bool *ret) {
    size_t open = strlen(m->open), close = strlen(m->close);
    for (size_t i = len; i-- > 0;) { /* the last mark decides */
        bool opens = len - i >= open && !memcmp(text + i, m->open, open);
        if (!opens && !(len - i >= close && !memcmp(text + i, m->close, close))) continue;
        *ret = opens;
        return;
    }
}
