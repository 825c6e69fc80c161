/* chat_template.h: where a model keeps its chat template, and what that is given beside messages.
 * Any one thread; const afterwards. */
#ifndef SL_CLI_CHAT_TEMPLATE_H
#define SL_CLI_CHAT_TEMPLATE_H

#include "base/json.h"
#include "cli/load.h"
#include "template/template.h"

#define SL_CHAT_SAID 480

typedef struct sl_chat_source {
    sl_template *template; /* NULL: there is none that can be used */
    json_t *variables;     /* an object of texts as "bos_token", of special_tokens_map.json too; NULL: those that the tokenizer knows */
    char said[SL_CHAT_SAID]; /* which template that is, for the user: its file, and what other names that has; "" : there is none */
    char why[480];         /* the template that there is cannot be used: why; "" otherwise */
    sl_notes notes;        /* what it cannot do, found out by trying it */
} sl_chat_source;

/* A folder's chat_template.jinja and additional_chat_templates/NAME.jinja; without such files those of tokenizer_config.json
 * (one, or a list of named ones), else of chat_template.json; GGUF's tokenizer.chat_template and tokenizer.chat_template.NAME.
 * The one called "default" is used. file: a template to use instead, NULL or "": none; if that cannot be used it is
 * an error, while a model's own is said in `why`. */
sl_status sl_chat_source_open(const sl_loaded *l, const char *file, sl_chat_source *ret, sl_error *e);
void sl_chat_source_done(sl_chat_source *c); /* zero-initialised is fine */

#endif
