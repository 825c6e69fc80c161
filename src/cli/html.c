#include "cli/html.h"

#include "cli/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char sl_html_style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1b1b;--dim:#595959;--line:#d0d0d0;--link:#0b57a4;"
    "--b0:#2166ac;--f0:#fff;--b1:#67a9cf;--f1:#111;--b2:#d1e5f0;--f2:#111;--b3:#f4f4f4;--f3:#111;--b4:#fddbc7;--f4:#111;--b5:#ef8a62;--f5:#111;"
    "--b6:#b2182b;--f6:#fff}"
    "@media(prefers-color-scheme:dark){:root{--bg:#161616;--fg:#e8e8e8;--dim:#a8a8a8;--line:#444;--link:#8ec5ff;"
    "--b0:#8cc8f0;--f0:#111;--b1:#2f6f9f;--f1:#fff;--b2:#20405a;--f2:#fff;--b3:#262626;--f3:#e8e8e8;--b4:#5a3424;--f4:#fff;--b5:#a34d26;--f5:#fff;"
    "--b6:#ffa271;--f6:#111}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:72rem;margin:0 auto;padding:1rem 1.25rem 4rem}h1{line-height:1.2;margin:1rem 0 .5rem}h2{margin:2.5rem 0 .5rem}"
    "p,li{max-width:46rem}p.legend{max-width:none}a{color:var(--link)}nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;padding:0;max-width:none}"
    ".box{overflow-x:auto;margin:.75rem 0 1.25rem}.box:focus-visible{outline:2px solid var(--link)}"
    "table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;padding:.25rem 0;color:var(--dim);max-width:46rem}"
    "th,td{padding:.15rem .5rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}"
    "thead th{vertical-align:bottom}.l,th[scope=row]{text-align:left}tr.chance{color:var(--dim);font-style:italic}"
    "table.map th,table.map td{border:1px solid var(--bg);padding:.1rem .3rem}table.map th{font-weight:400;color:var(--dim)}"
    "table.tiny td{padding:0;width:.55rem;min-width:.55rem;height:1.1rem}table.tiny thead th{padding:0;font-size:.65rem;text-align:left}"
    "table.tiny td span{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}table.tiny{position:relative}"
    ".d0{background:var(--b0);color:var(--f0)}.d1{background:var(--b1);color:var(--f1)}.d2{background:var(--b2);color:var(--f2)}"
    ".d3{background:var(--b3);color:var(--f3)}.d4{background:var(--b4);color:var(--f4)}.d5{background:var(--b5);color:var(--f5)}"
    ".d6{background:var(--b6);color:var(--f6)}.dz{color:var(--dim);background:repeating-linear-gradient(45deg,var(--bg),var(--bg) 2px,var(--line) 2px,var(--line) 4px)}"
    "td.tokens{white-space:normal;text-align:left;min-width:14rem}td.tokens span{white-space:nowrap;margin-right:.75rem}code{font-size:.95em}"
    "small,.dim{color:var(--dim)}details{margin:.5rem 0}summary{cursor:pointer}.legend span{display:inline-block;padding:.05rem .5rem;margin:0 .1rem}";

/* --- small things --- */

void sl_html_put(sl_html *p, const char *html) { sl_buffer_puts(&p->out, html); }

void sl_html_escaped(sl_html *p, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        const char *entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : c == '\'' ? "&#39;" : NULL;
        if (entity) sl_html_put(p, entity);
        else sl_buffer_append(&p->out, &c, 1);
    }
}

void sl_html_text(sl_html *p, const char *text) {
    sl_buffer plain = {0};
    sl_words_line(text, &plain);
    sl_html_put(p, "<bdi>");
    sl_html_escaped(p, plain.data, plain.len);
    sl_html_put(p, "</bdi>");
    sl_buffer_done(&plain);
}

void sl_html_percent(sl_html *p, double x) {
    if (!isfinite(x)) sl_html_put(p, "&ndash;");
    else sl_buffer_printf(&p->out, x < 0.1995 ? "%.1f&nbsp;%%" : "%.0f&nbsp;%%", x * 100);
}

void sl_html_decimal(sl_html *p, double x, int places) {
    if (!isfinite(x)) sl_html_put(p, "&ndash;");
    else sl_buffer_printf(&p->out, "%.*f", places, x);
}

void sl_html_count(sl_html *p, uint64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) sl_html_put(p, "&#8239;"); /* a narrow blank that holds the number together */
        sl_buffer_append(&p->out, digits + i, 1);
    }
}

void sl_html_flush(sl_html *p) {
    p->good = p->good && p->write(p->arg, &p->out);
    sl_buffer_clear(&p->out);
}

void sl_html_section(sl_html *p, const char *id, const char *title, const char *text) {
    sl_buffer_printf(&p->out, "<section aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2><p>%s</p>\n", id, id, title, text);
}

void sl_html_section_end(sl_html *p) {
    sl_html_put(p, "</section>\n");
    sl_html_flush(p);
}

void sl_html_table(sl_html *p, const char *label, const char *class) {
    sl_buffer_printf(&p->out, "<div class=\"box\" role=\"region\" tabindex=\"0\" aria-label=\"%s\"><table class=\"%s\">", label, class);
}

void sl_html_table_end(sl_html *p) { sl_html_put(p, "</table></div>\n"); }

/* --- maps --- */

const char *sl_html_map(int columns) { return columns > SL_HTML_NUMBERED ? "map tiny" : "map"; }

/* The class of a colour for a number that is `ratio` times the one to expect. */
static const char *colour(double ratio) {
    return ratio < 0.25 ? "d0" : ratio < 0.5 ? "d1" : ratio < 0.8 ? "d2" : ratio <= 1.25 ? "d3" : ratio < 2 ? "d4" : ratio < 4 ? "d5" : "d6";
}

void sl_html_cell(sl_html *p, bool tiny, uint64_t hits, double share, double ratio, int column) {
    char number[24];
    if (isfinite(share)) snprintf(number, sizeof number, share < 0.0995 ? "%.1f%%" : "%.0f%%", share * 100);
    else snprintf(number, sizeof number, "%.1f", ratio);
    const char *class = hits ? colour(ratio) : "dz";
    if (tiny) sl_buffer_printf(&p->out, "<td class=\"%s\" title=\"%d: %s\"><span>%s</span></td>", class, column, number, number);
    else sl_buffer_printf(&p->out, "<td class=\"%s\">%s</td>", class, hits ? number : "0");
}

/* The heading of a map's columns: experts' numbers; of many every tenth. */
void sl_html_columns(sl_html *p, const char *corner, const int *column, int count) {
    bool tiny = count > SL_HTML_NUMBERED;
    sl_buffer_printf(&p->out, "<thead><tr><th scope=\"col\" class=\"l\">%s</th>", corner);
    for (int i = 0; i < count; i++) {
        int number = column ? column[i] : i;
        if (!tiny) sl_buffer_printf(&p->out, "<th scope=\"col\">%d</th>", number);
        else if (i % 10 == 0) sl_buffer_printf(&p->out, "<th scope=\"colgroup\" colspan=\"%d\">%d</th>", count - i < 10 ? count - i : 10, number);
    }
    sl_html_put(p, "</tr></thead><tbody>\n");
}

void sl_html_legend(sl_html *p) {
    sl_html_put(p, "<p class=\"legend\">Colours: how many times what chance gives: <span class=\"d0\">under &frac14;</span><span class=\"d1\">&frac14; to "
           "&frac12;</span><span class=\"d2\">to 0.8</span><span class=\"d3\">about 1</span><span class=\"d4\">1.25 to 2</span><span "
           "class=\"d5\">2 to 4</span><span class=\"d6\">4 or more</span><span class=\"dz\">none</span></p>\n");
}

