#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../run.h"

static sl_settings s;
static sl_error e;
static bool help;
static char *nothing[] = {NULL};

static sl_status parse(unsigned command, char **environment, int argc, const char **argv) {
    return sl_options_parse(command, argc, (char **)argv, environment, &s, &help, &e);
}

#define ARGS(...)                                                                                                        \
    (int)(sizeof((const char *[]){"x", __VA_ARGS__}) / sizeof(char *)), (const char *[]) { "x", __VA_ARGS__ }

START_TEST(defaults) {
    ck_assert_int_eq(parse(SL_CMD_SERVE, nothing, ARGS("m.gguf")), SL_OK);
    ck_assert_str_eq(s.model, "m.gguf");
    ck_assert_int_eq(s.http.port, 8080);
    ck_assert_str_eq(s.http.host, "127.0.0.1");
    ck_assert_int_eq(s.engine.token_gap_ms, 500);
    ck_assert_uint_eq(s.http.body_limit, 4 << 20);
    ck_assert_int_eq(s.api.stuck_seconds, 120);
    ck_assert_str_eq(s.kv_type, "f16");
    sl_options_done(&s);
}
END_TEST

START_TEST(spellings) {
    ck_assert_int_eq(parse(SL_CMD_SERVE, nothing, ARGS("--port=81", "--strict", "--kv-memory", "1.5G", "--", "-odd-name")), SL_OK);
    ck_assert_int_eq(s.http.port, 81);
    ck_assert(s.api.strict);
    ck_assert_int_eq(s.kv_memory, 3LL << 29);
    ck_assert_str_eq(s.model, "-odd-name");
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_RUN, nothing, ARGS("m", "a prompt", "--seed", "-5", "--temperature", "0.5")), SL_OK);
    ck_assert_str_eq(s.prompt, "a prompt");
    ck_assert_int_eq(s.seed, -5);
    ck_assert_double_eq(s.temperature, 0.5);
    ck_assert_int_eq(s.max_tokens, 128);
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_CHAT, nothing, ARGS("m")), SL_OK); /* the same option may have another default */
    ck_assert_double_eq(s.temperature, 0.7);
    ck_assert_int_eq(s.max_tokens, 4096);
    ck_assert_str_eq(s.system, "");
    sl_options_done(&s);
}
END_TEST

/* Every bad spelling is an error that names the option. */
static const struct {
    const char *option, *value, *message;
} bad[] = {
    {"--port", "65536", "--port: 65536 is out of range"}, {"--port", "x", "--port: \"x\" is no whole number"},
    {"--port", "99999999999999999999", "--port"},         {"--kv-memory", "-1", "--kv-memory"},
    {"--kv-memory", "1Q", "--kv-memory"},                 {"--kv-memory", "nan", "--kv-memory"},
    {"--kv-type", "f64", "f16|f32"},                      {"--kv-type", "", "f16|f32"},
    {"--prot", "1", "did you mean \"port\"?"},            {"--zzzzzzzzzzzz", "1", "unknown option"},
    {"-p", "1", "two dashes"},                            {"--temperature", "1", "unknown option"},
    {"more", "arguments", "too many arguments"},
};

START_TEST(refusals) {
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(parse(SL_CMD_SERVE, nothing, ARGS("m", bad[i].option, bad[i].value)), SL_MISUSE);
        ck_assert_msg(strstr(e.message, bad[i].message), "%s", e.message);
        sl_options_done(&s);
    }
}
END_TEST

START_TEST(lists_of_numbers) {
    ck_assert_int_eq(parse(SL_CMD_BENCH, nothing, ARGS("m", "--batches", "1,256,3", "--prompts=7", "--behind", "")), SL_OK);
    ck_assert_int_eq(s.batches.count, 3);
    ck_assert_int_eq(s.batches.value[1], 256);
    ck_assert_int_eq(s.prompts.count, 1);
    ck_assert_int_eq(s.prompts.value[0], 7);
    ck_assert_int_eq(s.behind.count, 0);
    sl_options_done(&s);
    const char *wrong[] = {"0", "257", "1,,2", "1,", ",1", "1 2", "x", "99999999999999999999", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(parse(SL_CMD_BENCH, nothing, ARGS("m", "--batches", wrong[i])) == SL_MISUSE, "%s", wrong[i]);
        ck_assert_msg(strstr(e.message, "--batches: "), "%s", e.message);
        sl_options_done(&s);
    }
}
END_TEST

static const char *file_with(const char *text) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/sl-options-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

START_TEST(precedence) {
    const char *path = file_with("{\"model\": \"f.gguf\", \"port\": 1, \"queue\": 2, \"ctx\": 3, \"strict\": true, \"kv-memory\": \"2M\"}");
    char *environment[] = {(char *)"SLUICE_PORT=4", (char *)"SLUICE_QUEUE=5", (char *)"SLUICE_HOST=tcp://10.0.0.1:80", NULL};
    ck_assert_int_eq(parse(SL_CMD_SERVE, environment, ARGS("--config", path, "--port", "6")), SL_OK);
    ck_assert_str_eq(s.model, "f.gguf");
    ck_assert_int_eq(s.http.port, 6);
    ck_assert_int_eq(s.engine.queue, 5);
    ck_assert_int_eq(s.engine.ctx, 3);
    ck_assert_int_eq(s.kv_memory, 2 << 20);
    ck_assert(s.api.strict);
    ck_assert_str_eq(s.http.host, "127.0.0.1");
    sl_options_done(&s);
    unlink(path);
}
END_TEST

START_TEST(bad_files) {
    static const struct {
        const char *text, *message;
    } files[] = {{"{\"prot\": 1}", "did you mean \"port\"?"}, {"{\"port\": []}", "port: must be"}, {"[]", "object"},
                 {"{\"port\": 1, \"port\": 2}", ""},           {"", ""},                         {"{\"port\": 70000}", "out of range"},
                 {"{\"config\": \"x\"}", "config"},         {"{\"host\": \"a\\u0000b\"}", "host: must not contain"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *path = file_with(files[i].text);
        ck_assert_int_eq(parse(SL_CMD_SERVE, nothing, ARGS("m", "--config", path)), SL_MISUSE); /* not tried again by systemd */
        ck_assert_msg(strstr(e.message, files[i].message) && strstr(e.message, path), "%s", e.message);
        sl_options_done(&s);
        unlink(path);
    }
    ck_assert_int_eq(parse(SL_CMD_SERVE, nothing, ARGS("m", "--config", "/nowhere/at/all")), SL_IO);
    ck_assert_str_eq(e.message, "--config /nowhere/at/all: No such file or directory");
    sl_options_done(&s);
}
END_TEST

START_TEST(help_lists_every_option) {
    sl_buffer out = {0};
    sl_options_help(SL_CMD_SERVE, &out);
    for (const char **o = (const char *[]){"--threads", "--ctx", "--kv-type", "--drain-seconds", "--admin", NULL}; *o; o++)
        ck_assert_msg(strstr(sl_buffer_text(&out), *o), "%s", *o);
    ck_assert_ptr_null(strstr(sl_buffer_text(&out), "--temperature"));
    sl_buffer_done(&out);
    ck_assert_int_eq(parse(SL_CMD_SERVE, nothing, ARGS("--help")), SL_OK);
    ck_assert(help);
    sl_options_done(&s);
}
END_TEST

int main(void) { return RUN_TESTS("cli/options", 30, defaults, spellings, refusals, lists_of_numbers, precedence, bad_files, help_lists_every_option); }
