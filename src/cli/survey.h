/* survey.h: `sluice experts`: a corpus run through a model, and the reports of what its router chose.
 * The main thread. docs/experts.md says what each number means and names the members of the JSON. */
#ifndef SL_CLI_SURVEY_H
#define SL_CLI_SURVEY_H

#include "base/buffer.h"
#include "cli/corpus.h"
#include "cli/options.h"
#include "cli/views.h"
#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_survey {
    const sl_settings *s;
    const sl_model *model;
    const sl_tokenizer *tokenizer;
    const sl_corpus *corpus;
    int context;              /* tokens of the corpus in a window, each window a sequence of its own */
    int prefix;               /* tokens that the vocabulary puts before a text: in each window, not counted */
    sl_census *census;
    sl_views *views;
    bool complete;            /* false: interrupted, these are the rows until then */
    uint64_t followed[SL_CORPUS_DOMAINS]; /* rows of a domain that a token follows on in its document */
    uint64_t right[SL_CORPUS_DOMAINS];    /* of these, that were predicted right */
    double covered[SL_CENSUS_SIDES];      /* share of all rows whose id has a place in the tables of tokens */
    uint64_t memory;          /* private bytes planned, counters included */
    uint64_t counters;        /* of these */
    bool *shown;              /* [views->layers] by --layer */
} sl_survey;

/* survey_pass.c: runs the corpus through the model's forward pass: fills context to shown. progress(done, of) after every step;
 * false ends the pass early, with what was counted so far. */
sl_status sl_survey_run(sl_survey *v, bool (*progress)(uint64_t done, uint64_t of), sl_error *e);
void sl_survey_done(sl_survey *v);

/* The reports. Tokens are shown as JSON strings, so that neither a terminal nor a page reads them as more than text. */
typedef struct sl_text_style {
    int columns;
    bool colours, utf8;
} sl_text_style;
void sl_survey_text(const sl_survey *v, const sl_text_style *style, sl_buffer *out);
/* In pieces: write(arg, piece) takes each and returns false to stop. */
bool sl_survey_json(const sl_survey *v, bool (*write)(void *arg, sl_buffer *piece), void *arg);
bool sl_survey_html(const sl_survey *v, bool (*write)(void *arg, sl_buffer *piece), void *arg);

/* survey_pass.c: the text of an id in the tables, as words.h shows it. */
void sl_survey_token(const sl_survey *v, int place, int most, bool utf8, sl_buffer *out);

#endif
