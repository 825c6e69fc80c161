#include "cli/chat_show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../run.h"

/* Standard output is a file meanwhile. */
static int before;
static FILE *file;
static char seen[1000];

static void catch(void) {
    fflush(stdout);
    before = dup(STDOUT_FILENO);
    file = tmpfile();
    ck_assert(before >= 0 && file && dup2(fileno(file), STDOUT_FILENO) >= 0);
}

static const char *caught(void) {
    dup2(before, STDOUT_FILENO);
    close(before);
    ssize_t n = pread(fileno(file), seen, sizeof seen - 1, 0);
    fclose(file);
    seen[n > 0 ? n : 0] = 0;
    return seen;
}

/* In pieces of every size: a control character may come in two of them. */
static void shows(const char *text, const char *want) {
    for (size_t piece = 1, len = strlen(text); piece <= len; piece++) {
        sl_show w = {.terminal = true};
        catch();
        for (size_t at = 0, n; at < len; at += n) {
            n = len - at < piece ? len - at : piece;
            sl_show_text(&w, text + at, n);
        }
        ck_assert_msg(!strcmp(caught(), want), "by %zu: \"%s\", not \"%s\"", piece, seen, want);
        ck_assert_int_eq(w.error, 0);
    }
}

START_TEST(what_a_terminal_obeys_is_left_out) {
    shows("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n\ttext", "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n\ttext");
    shows("a\x1B[2Jb\rc\x07" "d\x7F" "e\b", "a[2Jbcde");
    shows("a\xC2\x9B" "2Jb\xC2\x85" "c", "a2Jbc");                    /* U+009B is CSI, too */
    shows("a\xC2\xA0" "b\xC2\xB0" "c\xC3\x9B", "a\xC2\xA0" "b\xC2\xB0" "c\xC3\x9B"); /* their neighbours are letters */
}
END_TEST

START_TEST(a_file_gets_everything) {
    sl_show w = {.terminal = false};
    catch();
    sl_show_text(&w, "a\x1B[2Jb\xC2\x9B", 8);
    sl_show_thinking(&w, sl_known_marks, true);
    sl_show_thinking(&w, sl_known_marks, false);
    ck_assert_str_eq(caught(), "a\x1B[2Jb\xC2\x9B");
}
END_TEST

START_TEST(thinking_is_grey_or_between_marks) {
    for (int grey = 0; grey < 2; grey++) {
        sl_show w = {.terminal = true, .grey = grey};
        catch();
        sl_show_thinking(&w, sl_known_marks, true);
        sl_show_text(&w, "hm", 2);
        sl_show_thinking(&w, sl_known_marks, false);
        sl_show_text(&w, "so", 2);
        ck_assert_str_eq(caught(), grey ? "\033[90mhm\n\033[0m\nso" : "<think>\nhm\n</think>\nso");
    }
    sl_show w = {.terminal = true};
    catch();
    sl_show_thinking(&w, NULL, true); /* a model that thinks in a channel */
    ck_assert_str_eq(caught(), "<think>\n");
}
END_TEST

START_TEST(no_terminal_is_seen) {
    sl_show w;
    catch();
    sl_show_init(&w);
    caught();
    ck_assert(!w.terminal && !w.grey && !w.held && !w.error);
}
END_TEST

/* A full disk, say: it is noted, and nothing more is tried. */
START_TEST(output_that_cannot_be_written) {
    sl_show w = {.terminal = true};
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), out = dup(STDOUT_FILENO);
    ck_assert(full >= 0 && out >= 0 && dup2(full, STDOUT_FILENO) >= 0);
    sl_show_text(&w, "a", 1);
    int first = w.error;
    sl_show_text(&w, "b", 1);
    dup2(out, STDOUT_FILENO);
    close(full);
    close(out);
    ck_assert_int_eq(first, ENOSPC);
    ck_assert_int_eq(w.error, ENOSPC);
}
END_TEST

int main(void) {
    return RUN_TESTS("chat_show", 60, what_a_terminal_obeys_is_left_out, a_file_gets_everything, thinking_is_grey_or_between_marks,
                     no_terminal_is_seen, output_that_cannot_be_written);
}
