/* chat.c: `sluice chat`: a conversation with a model in the terminal; the engine as the server runs it, with one client.
 *
 *   a line is read ──► a command is done
 *                 └──► a message: the template's prompt ──► the engine ──► shown as it comes, kept as the model's message
 *
 * Keys and values stay in the engine's cache, so that a turn computes what is new in it. An answer that Ctrl-C stops, or that is cut,
 * stays in the conversation as far as it came, and can go on from its last token; a turn that failed leaves no trace. Standard
 * output has answers alone; all else, as what a turn cost, goes to standard error. */
#include "cli/cli.h"

#include "cli/chat_conversation.h"
#include "cli/chat_line.h"
#include "cli/chat_reply.h"
#include "cli/chat_show.h"
#include "cli/chat_template.h"
#include "cli/load.h"
#include "cli/plan.h"
#include "cli/teller.h"

#include "base/alloc.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct talk {
    sl_settings *s;
    sl_loaded loaded;
    sl_chat_source source;
    sl_chat chat;
    sl_engine *engine;
    sl_teller teller;
    sl_conversation conversation;
    sl_line_reader *lines;
    sl_show show;
    uint64_t *rows;    /* [layers][experts] that each expert had before the answer; NULL: a dense model */
    sl_reply reply;    /* the last answer */
    size_t said_shown, thought_shown; /* bytes of it */
    bool thinks;       /* shown as such at the moment */
    int64_t again;     /* how often the last answer was asked for again, or went on: another seed for each */
    bool interrupted;  /* Ctrl-C was the last key, on an empty line or after a line that it threw away */
    int status;        /* of the process */
} talk;

static void say(const char *text) { fprintf(stderr, "%s\n", text); }

/* --- an answer --- */

static void show_new(talk *t) {
    sl_show *w = &t->show;
    const sl_reply *r = &t->reply;
    if (r->thought.len > t->thought_shown && w->terminal) {
        if (!t->thinks) sl_show_thinking(w, t->chat.marks, true);
        t->thinks = true;
        sl_show_text(w, r->thought.data + t->thought_shown, r->thought.len - t->thought_shown);
    }
    t->thought_shown = r->thought.len;
    if (r->said.len == t->said_shown) return;
    if (t->thinks) sl_show_thinking(w, t->chat.marks, false);
    t->thinks = false;
    sl_show_text(w, r->said.data + t->said_shown, r->said.len - t->said_shown);
    t->said_shown = r->said.len;
}

static void take(void *arg, sl_request *r, const sl_event *ev) {
    talk *t = arg;
    if (ev->kind != SL_EVENT_TOKEN) return;
    if (!sl_reply_take(&t->reply, ev->token)) sl_request_cancel(r, SL_CANCEL_SHUTDOWN);
    else show_new(t);
    if (t->show.error) sl_request_cancel(r, SL_CANCEL_SHUTDOWN);
}

/* Room for an answer, or a sentence that says why there is none. */
static sl_status fits(const talk *t, sl_error *e) {
    int ctx = t->s->engine.ctx, most = sl_plan_positions(t->loaded.model);
    size_t prompt = t->reply.ids.count;
    char larger[120] = "";
    if (prompt < (size_t)ctx) return SL_OK;
    if (most > ctx) snprintf(larger, sizeof larger, ", or start with a larger --ctx (this model has up to %d)", most);
    return sl_fail(e, SL_TOO_LONG,
                   "the context is full: with this message the conversation has %zu tokens, and there is room for %d. The message is left "
                   "out; say less, begin anew with /reset%s.", prompt, ctx, larger);
}

static sl_status make_request(const talk *t, sl_request **ret, sl_error *e) {
    const sl_settings *s = t->s;
    const sl_ids *ids = &t->reply.ids;
    const int32_t *prompt[1] = {ids->id};
    int64_t left = s->engine.ctx - (int64_t)ids->count;
    sl_request_spec spec = sl_teller_spec(s);
    spec.prompt = prompt;
    spec.prompt_len = &ids->count;
    spec.sampling.seed += (uint64_t)t->again;
    spec.max_tokens = (int)(s->max_tokens && s->max_tokens < left ? s->max_tokens : left);
    spec.stop_token = t->chat.end;
    spec.stop_tokens = t->chat.ends;
    spec.id = "chat";
    return sl_request_new(t->engine, &spec, ret, e);
}

/* Experts that had more rows than at the last call; *ret_all: of how many. */
static int count_touched(talk *t, int *ret_all) {
    const sl_hparams *hp = &t->loaded.model->hp;
    int touched = 0;
    *ret_all = 0;
    for (int l = 0; l < hp->layers && t->rows; l++) {
        for (int i = 0; i < hp->experts && hp->sparse[l]; i++, ++*ret_all) {
            uint64_t *before = &t->rows[l * hp->experts + i], now = sl_engine_expert(t->engine, l, i).tokens;
            touched += now > *before;
            *before = now;
        }
    }
    return touched;
}

/* The line beneath an answer. */
static void tell_cost(talk *t, const sl_usage *u, int finish) {
    sl_buffer line = {0};
    int all, touched = count_touched(t, &all);
    double seconds = u->total_seconds - u->first_token_seconds;
    sl_buffer_printf(&line, "%lld tokens", (long long)u->generated_tokens);
    if (u->generated_tokens > 1 && seconds > 0) sl_buffer_printf(&line, ", %.1f a second", (double)(u->generated_tokens - 1) / seconds);
    if (u->first_token_seconds > 0) sl_buffer_printf(&line, "; the first after %.2f s", u->first_token_seconds);
    sl_buffer_printf(&line, "; %lld of %lld prompt tokens reused", (long long)u->cached_tokens, (long long)u->prompt_tokens);
    if (all) sl_buffer_printf(&line, "; %d of %d experts", touched, all);
    if (finish == SL_FINISH_LENGTH) sl_buffer_puts(&line, "; cut");
    else if (finish != SL_FINISH_STOP) sl_buffer_puts(&line, "; stopped");
    if (t->s->stats || (t->show.terminal && isatty(STDERR_FILENO))) sl_show_note(&t->show, sl_buffer_text(&line));
    sl_buffer_done(&line);
}

/* An answer that ended before the model had ended it, and what can be done. */
static void tell_cut(const talk *t, const sl_usage *u) {
    char line[200];
    if (t->reply.ids.count >= (size_t)t->s->engine.ctx)
        snprintf(line, sizeof line, "The answer is cut: the context is full (--ctx %d). /reset begins anew.", t->s->engine.ctx);
    else
        snprintf(line, sizeof line, "The answer is cut after %lld tokens (--max-tokens). /continue lets it go on.", (long long)u->generated_tokens);
    sl_show_note(&t->show, line);
}

/* From the reply's prompt, and what is there of an answer, to its end. */
static sl_status run_request(talk *t, int *ret_finish, sl_error *e) {
    sl_request *r = NULL;
    sl_status st = make_request(t, &r, e);
    if (!st) st = sl_engine_submit(t->engine, r, e);
    if (!st) {
        t->show.held = t->thinks = false;
        sl_teller_follow(&t->teller, t->engine, r, take, t);
        *ret_finish = sl_request_finish(r);
        if (*ret_finish == SL_FINISH_STOP) {
            sl_reply_end(&t->reply);
            show_new(t);
        }
        if (t->thinks) sl_show_thinking(&t->show, t->chat.marks, false);
        sl_show_text(&t->show, "\n", 1);
        sl_usage u = sl_request_usage(r);
        tell_cost(t, &u, *ret_finish);
        if (*ret_finish == SL_FINISH_LENGTH) tell_cut(t, &u);
        if (*ret_finish == SL_FINISH_ERROR) st = sl_fail(e, SL_INVALID, "%s", sl_request_failure(r));
        else if (t->reply.said.failed || t->reply.thought.failed) st = sl_fail(e, SL_NOMEM, "out of memory for the answer");
        else if (t->show.error) st = sl_fail(e, SL_IO, "standard output cannot be written: %s", strerror(t->show.error));
    }
    sl_request_free(r);
    return st;
}

static void failed(talk *t, const sl_error *e) {
    fprintf(stderr, "sluice chat: %s\n", e->message);
    t->status = 1;
}

static void forget_reply(talk *t) {
    sl_reply_begin(&t->reply, &t->chat, t->loaded.tokenizer);
    t->said_shown = t->thought_shown = 0;
}

/* The model's turn. What went wrong, or was stopped before it said anything, takes the user's message with it. */
static void let_answer(talk *t) {
    sl_error e;
    bool thinking = false;
    int finish = SL_FINISH_STOP;
    forget_reply(t);
    sl_status st = sl_conversation_prompt(&t->conversation, &t->reply.ids, &thinking, &e);
    sl_reply_prompted(&t->reply, thinking);
    if (!st) st = fits(t, &e);
    if (!st) st = run_request(t, &finish, &e);
    if (!st && (t->reply.said.len || finish == SL_FINISH_STOP || finish == SL_FINISH_LENGTH)) {
        st = sl_conversation_answer(&t->conversation, &t->reply.said, &t->reply.thought, &e);
    } else {
        sl_conversation_drop(&t->conversation);
        forget_reply(t);
    }
    if (st) failed(t, &e);
}

/* The answer that was cut goes on; the message that the conversation has of it becomes the longer one. */
static void go_on(talk *t) {
    sl_error e;
    int finish;
    t->again++;
    sl_status st = run_request(t, &finish, &e);
    if (!st) {
        sl_conversation_drop(&t->conversation);
        st = sl_conversation_answer(&t->conversation, &t->reply.said, &t->reply.thought, &e);
    }
    if (st) failed(t, &e);
}

/* --- commands --- */

static bool quit(talk *t, const char *text, size_t len) {
    (void)t, (void)text, (void)len;
    return false;
}

static bool reset(talk *t, const char *text, size_t len) {
    (void)text, (void)len;
    sl_conversation_reset(&t->conversation);
    forget_reply(t);
    say("The conversation begins anew.");
    return true;
}

static bool set_system(talk *t, const char *text, size_t len) {
    sl_error e;
    if (sl_conversation_system(&t->conversation, text, len, &e)) {
        fprintf(stderr, "The system message stays as it was: %s\n", e.message);
        t->status = 1;
    } else {
        say(len ? "The system message is set; what was said stays (/reset forgets it)." : "There is no system message any more.");
    }
    return true;
}

static bool regenerate(talk *t, const char *text, size_t len) {
    (void)text, (void)len;
    if (!sl_conversation_answered(&t->conversation)) {
        say("There is no answer yet.");
        return true;
    }
    sl_conversation_drop(&t->conversation);
    t->again++;
    let_answer(t);
    return true;
}

static bool continue_answer(talk *t, const char *text, size_t len) {
    (void)text, (void)len;
    if (!sl_reply_goes_on(&t->reply)) say("There is no answer that was cut.");
    else if (t->reply.ids.count >= (size_t)t->s->engine.ctx) say("The answer cannot go on: the context is full (--ctx). /reset begins anew.");
    else go_on(t);
    return !t->show.error;
}

static bool set_thinking(talk *t, const char *text, size_t len) {
    sl_buffer words = {0};
    char word[24];
    sl_error e;
    snprintf(word, sizeof word, "%.*s", (int)(len < 20 ? len : 20), text);
    sl_conversation_think_words(&t->conversation, &words);
    if (!words.len) {
        say("This model's chat template has no switch for thinking.");
        t->status = 1;
    } else if (!len) {
        fprintf(stderr, "Thinking: %s (%s).\n", sl_conversation_thinks(&t->conversation), sl_buffer_text(&words));
    } else if (sl_conversation_think(&t->conversation, word, &e)) {
        fprintf(stderr, "Thinking stays as it was: %s\n", e.message);
        t->status = 1;
    } else {
        fprintf(stderr, "Thinking: %s.\n", sl_conversation_thinks(&t->conversation));
    }
    sl_buffer_done(&words);
    return true;
}

static bool has_switch(const talk *t) {
    sl_buffer words = {0};
    sl_conversation_think_words(&t->conversation, &words);
    bool some = words.len > 0;
    sl_buffer_done(&words);
    return some;
}

static bool help(talk *t, const char *text, size_t len);

static const struct command {
    const char *name, *argument;
    bool (*run)(talk *t, const char *text, size_t len); /* false: the conversation ends */
    const char *help;
    bool (*offered)(const talk *t); /* NULL: always */
} commands[] = {
    {"help", "", help, "this list", NULL},
    {"reset", "", reset, "forget what was said", NULL},
    {"system", " TEXT", set_system, "set the system message; without TEXT: have none", NULL},
    {"regen", "", regenerate, "another answer to the last message", NULL},
    {"continue", "", continue_answer, "let an answer go on that was cut or stopped", NULL},
    {"think", " WORD", set_thinking, "let the model think or not; without WORD: which words there are", has_switch},
    {"quit", "", quit, "end; so do Ctrl-D, and Ctrl-C twice", NULL},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static bool help(talk *t, const char *text, size_t len) {
    (void)text, (void)len;
    for (int i = 0; i < COMMAND_COUNT; i++) {
        char left[24];
        if (commands[i].offered && !commands[i].offered(t)) continue;
        snprintf(left, sizeof left, "/%s%s", commands[i].name, commands[i].argument);
        fprintf(stderr, "  %-14s %s\n", left, commands[i].help);
    }
    say("Ctrl-C stops an answer, or throws a line away. A line that ends in \\ goes on in the next; pasted lines are one message.\n"
        "A message that begins with / has a blank before it.");
    return true;
}

/* Letters up to a blank or the end: "/etc/fstab is wrong" is no command. 0: none. */
static size_t command_length(const char *text, size_t len) {
    size_t n = 1;
    if (len == 0 || text[0] != '/') return 0;
    while (n < len && ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z'))) n++;
    return n == len || strchr(" \t\n", text[n]) ? n : 0;
}

static bool is_blank(char c) { return strchr(" \t\r\n", c) != NULL; }

static bool obey(talk *t, const char *text, size_t len, size_t name) {
    const char *known[COMMAND_COUNT];
    char word[40];
    snprintf(word, sizeof word, "%.*s", (int)(name < 32 ? name - 1 : 31), text + 1);
    size_t from = name;
    while (from < len && is_blank(text[from])) from++;
    for (int i = 0; i < COMMAND_COUNT; i++) {
        known[i] = commands[i].name;
        if (!strcmp(word, commands[i].name)) return commands[i].run(t, text + from, len - from);
    }
    const char *near = sl_nearest(word, known, COMMAND_COUNT);
    fprintf(stderr, "There is no /%s%s%s%s; /help lists what there is, and a blank before it makes it a message.\n", word,
            near ? " (did you mean /" : "", near ? near : "", near ? "?)" : "");
    t->status = 1;
    return true;
}

/* --- the loop --- */

/* What was typed. false: the conversation ends. */
static bool turn(talk *t, const sl_buffer *line) {
    const char *text = line->data;
    size_t len = line->len;
    sl_error e;
    while (len && is_blank(text[len - 1])) len--;
    size_t name = command_length(text, len);
    if (name) return obey(t, text, len, name);
    while (len && is_blank(*text)) text++, len--;
    if (!len) return true;
    t->again = 0;
    if (sl_conversation_ask(&t->conversation, text, len, &e)) {
        fprintf(stderr, "sluice chat: %s\n", e.message);
        t->status = 1;
        return true;
    }
    let_answer(t);
    return !t->show.error;
}

static void converse(talk *t) {
    sl_buffer line = {0};
    bool empty = true, goes_on = true;
    while (goes_on) {
        sl_line_reader_begin(t->lines);
        sl_teller_forget(&t->teller); /* Ctrl-C that came when an answer had just ended */
        sl_line what = sl_line_reader_next(t->lines, &line, &empty);
        if (what == SL_LINE_END) break;
        if (what == SL_LINE_CLEARED) {
            if (empty && t->interrupted) break;
            if (empty) say("Ctrl-C once more, or Ctrl-D, ends the conversation.");
            t->interrupted = true;
            continue;
        }
        t->interrupted = false;
        if (line.failed) say("sluice chat: out of memory for this message");
        else goes_on = turn(t, &line);
    }
    if (sl_line_reader_edits(t->lines)) t->status = 0; /* whoever sits there has read what went wrong */
    sl_buffer_done(&line);
}

static sl_teller *to_interrupt; /* a signal's handler has no argument */

static void on_interrupt(int number) {
    (void)number;
    sl_teller_interrupt(to_interrupt);
}

/* Where somebody types, Ctrl-C stops an answer; in a script it ends the program as it ends others. */
static void catch_interrupts(talk *t) {
    to_interrupt = &t->teller;
    if (sl_line_reader_edits(t->lines)) sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = SA_RESTART}, NULL);
}

static sl_status open_template(talk *t, sl_error *e) {
    sl_status st = sl_chat_source_open(&t->loaded, t->s->chat_template, &t->source, e);
    if (!st) st = sl_chat_open(&t->chat, t->source.template, t->source.why, t->source.variables, t->loaded.tokenizer, e);
    if (st) return st;
    if (t->chat.warning[0]) fprintf(stderr, "sluice chat: warning: %s\n", t->chat.warning);
    if (t->source.template) return SL_OK;
    return sl_fail(e, SL_UNSUPPORTED,
                   "this model %s, so it does not know whose turn it is. Give it one with --chat-template FILE, or let it continue a text: "
                   "sluice run MODEL PROMPT", t->chat.why[0] ? "has a chat template that cannot be used" : "has no chat template");
}

static sl_status switch_thinking(talk *t, sl_error *e) {
    sl_status st = sl_conversation_think(&t->conversation, t->s->think, e);
    if (st) sl_error_prefix(e, "--think");
    return st;
}

static sl_status open_all(talk *t, sl_plan *plan, sl_error *e) {
    sl_settings *s = t->s;
    const sl_hparams *hp;
    sl_status st = sl_load(s->model, &t->loaded, e);
    if (st || (st = open_template(t, e)) != SL_OK) return st;
    sl_loaded_warn(&t->loaded, "chat");
    hp = &t->loaded.model->hp;
    s->engine.tokenizer = t->loaded.tokenizer;
    t->rows = hp->experts ? sl_calloc((size_t)hp->layers * (size_t)hp->experts, sizeof *t->rows) : NULL;
    if (hp->experts && !t->rows) return sl_fail(e, SL_NOMEM, "out of memory");
    if ((st = sl_conversation_init(&t->conversation, &t->chat, t->loaded.tokenizer, e)) ||
        (st = sl_conversation_system(&t->conversation, s->system, strlen(s->system), e)) ||
        (s->think[0] && (st = switch_thinking(t, e)) != SL_OK) ||
        (st = sl_plan_make(s, t->loaded.model, plan, e)) || (st = sl_engine_new(&s->engine, &t->engine, e)))
        return st;
    return sl_line_reader_open(&t->lines, e);
}

int sl_chat_command(sl_settings *s) {
    talk t = {.s = s};
    sl_plan plan;
    sl_error e;
    sl_show_init(&t.show);
    sl_teller_init(&t.teller, &s->engine);
    sl_status st = open_all(&t, &plan, &e);
    if (!st) {
        if (sl_line_reader_edits(t.lines))
            fprintf(stderr, "%s, up to %d tokens (--ctx). /help lists what there is beside messages.\n", t.loaded.model->name, s->engine.ctx);
        catch_interrupts(&t);
        converse(&t);
        signal(SIGINT, SIG_DFL);
    } else {
        fprintf(stderr, "sluice chat: %s\n", e.message);
        t.status = e.code == SL_MISUSE ? 2 : 1;
    }
    sl_line_reader_close(t.lines);
    sl_engine_free(t.engine);
    sl_reply_done(&t.reply);
    sl_conversation_done(&t.conversation);
    sl_chat_done(&t.chat);
    sl_chat_source_done(&t.source);
    sl_unload(&t.loaded);
    sl_free(t.rows);
    sl_teller_done(&t.teller);
    return t.status;
}
