#include "api/endpoints.h"

#include <string.h>

#include "../run.h"

START_TEST(table) {
    int count;
    const sl_http_endpoint *p = sl_api_endpoints(&count);
    for (int i = 0; i < count; i++) {
        ck_assert(!strcmp(p[i].method, "GET") || !strcmp(p[i].method, "POST"));
        ck_assert(p[i].path[0] == '/' && p[i].handle);
        for (int j = 0; j < i; j++) ck_assert(strcmp(p[i].path, p[j].path) != 0 || strcmp(p[i].method, p[j].method) != 0);
        bool probe = !strcmp(p[i].path, "/livez") || !strcmp(p[i].path, "/readyz") || !strcmp(p[i].path, "/health") ||
                     !strcmp(p[i].path, "/v1/health") || !strcmp(p[i].path, "/ping");
        bool metrics = !strncmp(p[i].path, "/metrics", 8); /* routing tells about content */
        bool changes = !strcmp(p[i].path, "/drain"); /* the server, for whoever may reach the admin listener only */
        unsigned flags = probe ? SL_HTTP_PUBLIC : metrics ? SL_HTTP_ADMIN : changes ? SL_HTTP_ADMIN | SL_HTTP_NOT_MAIN : 0;
        ck_assert_msg(p[i].flags == flags, "%s", p[i].path);
    }
}
END_TEST

int main(void) { return RUN_TESTS("api/endpoints", 10, table); }
