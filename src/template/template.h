/* template.h: a model's chat template: parsed once, rendered into text in which every character says where it came from.
 * A parsed template is constant and may be shared by any threads; a rendering belongs to the thread that asked for it.
 *
 * The language is Jinja as transformers sets it up for chat templates (ImmutableSandboxedEnvironment, trim_blocks,
 * lstrip_blocks, loop controls, tojson without HTML escapes, raise_exception, strftime_now, {% generation %}); docs/templates.md
 * says what differs. A template comes from a model's files or from the command line, never from a request.
 *
 * Invariants
 *   1. What is rendered is what Jinja2 renders, or an error where Jinja2 has one.
 *   2. Each byte of the output is markup (the template wrote it) or content (it is part of a variable that came from the
 *      request), through every filter, slice, concatenation and method. Comparing ignores where a string came from (Promise 6).
 *   3. Steps, memory, output and nesting are bounded; beyond is an error that names the line. Time is linear in the
 *      output and in the strings that are worked on.
 *   4. No global state; a template is only read while it is rendered. */
#ifndef SL_TEMPLATE_TEMPLATE_H
#define SL_TEMPLATE_TEMPLATE_H

#include "base/error.h"
#include "base/json.h"
#include "base/notes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sl_template sl_template;

/* Parses `len` bytes of text, of which it keeps a copy. Errors are SL_FORMAT (no template, says Jinja too), SL_UNSUPPORTED
 * (a construct that is not done here) or SL_NOMEM; they begin with "line N: " and name the construct. */
sl_status sl_template_parse(const char *text, size_t len, sl_template **ret, sl_error *e);
sl_template *sl_template_free(sl_template *t); /* NULL is fine; returns NULL */

/* The text that it was parsed from. */
const char *sl_template_source(const sl_template *t, size_t *ret_len);
/* Does the template anywhere read a variable, a member or a text with this name ("enable_thinking", "tools", "<think>")? A
 * text counts if the name is part of it. */
bool sl_template_mentions(const sl_template *t, const char *name);
/* Does it read a variable of this name that is to be given from outside, so that a client can steer it? */
bool sl_template_reads(const sl_template *t, const char *name);

typedef enum sl_template_origin {
    SL_TEMPLATE_MARKUP,   /* ours: bos_token and its like */
    SL_TEMPLATE_CONTENT,  /* the client's: tools, documents, chat_template_kwargs; every string, number and member's name in it */
    SL_TEMPLATE_MESSAGES, /* the client's list of messages, made ready as transformers does: members that are null are left out;
                           * reasoning_content, thinking and reasoning are filled from one another. A message's role is markup
                           * if it is one of "system", "user", "assistant", "tool", "developer", "function" and "ipython". */
} sl_template_origin;

typedef struct sl_template_variable {
    const char *name;
    const json_t *value; /* borrowed while it is rendered; NULL is None */
    sl_template_origin origin;
} sl_template_variable;

/* What one rendering may use; a member that is 0 stands for its default. */
typedef struct sl_template_limits {
    uint64_t steps;  /* nodes evaluated and, for each 64 bytes of text worked on, one more; 20 million */
    size_t memory;   /* bytes taken while it is rendered, its text among them; 64 MiB */
    size_t output;   /* bytes of text; 32 MiB */
    int nesting;     /* calls, loops, expressions and lists inside one another; 1000 */
} sl_template_limits;

/* Of the variables that transformers always gives, tools and documents are None and add_generation_prompt is false unless
 * they are among these. */
typedef struct sl_template_input {
    const sl_template_variable *variable; /* [variables] */
    size_t variables;
    sl_template_limits limits;
    int64_t (*now)(void *arg);  /* seconds since 1970, for strftime_now, which shows local time; NULL: the clock */
    bool (*pause)(void *arg);   /* asked every few thousand steps; when it returns false: SL_CANCELLED. NULL: none */
    void *arg;                  /* of both */
} sl_template_input;

/* A part of the output that is markup throughout or content throughout; two neighbours differ. */
typedef struct sl_template_segment {
    size_t start, len; /* bytes of the text */
    bool content;
} sl_template_segment;

typedef struct sl_template_text {
    char *text; /* [len] UTF-8, and a NUL behind it */
    size_t len;
    sl_template_segment *segment; /* [segments] in order, without gaps */
    size_t segments;
} sl_template_text;

/* Renders. SL_INVALID: the template raised an error (raise_exception, or what Jinja2 fails at): the message says what it
 * says; SL_UNSUPPORTED: it needs something that is not done here; SL_TOO_MUCH: a limit; SL_NOMEM, SL_CANCELLED. */
sl_status sl_template_render(const sl_template *t, const sl_template_input *in, sl_template_text *ret, sl_error *e);
void sl_template_text_done(sl_template_text *text); /* frees; zero-initialised is fine, and so is it afterwards */

/* Renders a few conversations (one message, a system message, several turns, text in parts, tools and their results) with the
 * variables of `with` beside them, and notes what fails: with line and construct where it is not done here, and what the
 * template says where it refuses what every chat may need. SL_NOMEM, SL_CANCELLED. */
sl_status sl_template_try(const sl_template *t, const sl_template_input *with, sl_notes *notes, sl_error *e);

#endif
