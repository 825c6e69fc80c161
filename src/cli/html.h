/* html.h: a page of tables, written in pieces: text that is escaped, numbers, maps whose cells are coloured.
 * One thread; knows no model.
 *
 * The page needs nothing from elsewhere and runs nothing. Whatever text of strangers is on it goes through sl_html_text or
 * sl_html_escaped. A colour of a map says how many times the value to expect a number is, on one scale; the number stands in
 * the cell too. */
#ifndef SL_CLI_HTML_H
#define SL_CLI_HTML_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_HTML_NUMBERED 40 /* columns up to which a map shows its numbers; of more they are for screen readers and pointers */

typedef struct sl_html {
    sl_buffer out; /* since the last flush */
    bool (*write)(void *arg, sl_buffer *piece);
    void *arg;
    bool good;     /* nothing has failed */
} sl_html;

extern const char sl_html_style[]; /* of the whole page, light and dark */

void sl_html_put(sl_html *p, const char *html);                       /* as it is */
void sl_html_escaped(sl_html *p, const char *text, size_t len);
void sl_html_text(sl_html *p, const char *text);                      /* anybody's, as one line with a direction of its own */
void sl_html_percent(sl_html *p, double x);                           /* a dash if it is not finite */
void sl_html_decimal(sl_html *p, double x, int places);
void sl_html_count(sl_html *p, uint64_t n);                           /* 1 234 567 */
void sl_html_flush(sl_html *p);

/* id, titles, labels and classes are constants of the program, in HTML. */
void sl_html_section(sl_html *p, const char *id, const char *title, const char *text);
void sl_html_section_end(sl_html *p);
void sl_html_table(sl_html *p, const char *label, const char *class); /* that scrolls by itself when it is wide */
void sl_html_table_end(sl_html *p);

const char *sl_html_map(int columns);                                 /* the class of a map's table */
void sl_html_legend(sl_html *p);
void sl_html_columns(sl_html *p, const char *corner, const int *column, int count); /* its head; column NULL: 0, 1, 2 … */
/* A cell: share 0 … 1 in percent, or, where it is NaN, the ratio itself. hits 0: shown as none. A tiny one says its column and number when
 * it is pointed at. */
void sl_html_cell(sl_html *p, bool tiny, uint64_t hits, double share, double ratio, int column);

#endif
