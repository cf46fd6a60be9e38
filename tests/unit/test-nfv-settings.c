/*
 * Unit tests: the placement that the user asked for
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "nfv/cpus.h"
#include "hw/nfv/settings.h"

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NfvSettings, nfv_settings_clear)

static const NfvListSetting *list_setting(const char *name)
{
    const NfvListSetting *l = nfv_list_settings;

    while (l->name && strcmp(l->name, name)) {
        l++;
    }
    g_assert_nonnull(l->name);
    return l;
}

static const NfvPrioritySetting *priority_setting(const char *name)
{
    const NfvPrioritySetting *p = nfv_priority_settings;

    while (p->name && strcmp(p->name, name)) {
        p++;
    }
    g_assert_nonnull(p->name);
    return p;
}

static void set_list(NfvSettings *s, const char *name, const char *value)
{
    g_assert_true(
        nfv_settings_set_list(s, list_setting(name), value, &error_abort));
}

static void set_priority(NfvSettings *s, const char *name, int64_t value)
{
    g_assert_true(nfv_settings_set_priority(s, priority_setting(name), value,
                                            &error_abort));
}

/* The list of @name, found without the offsets that are tested. */
static GArray *config_list(const NfvConfig *config, const char *name)
{
    return !strcmp(name, "vcpu-cpus")     ? config->vcpu_cpus :
           !strcmp(name, "rt-vcpus")      ? config->rt_vcpus :
           !strcmp(name, "iothread-cpus") ? config->iothread_cpus :
                                            config->housekeeping_cpus;
}

static uint8_t config_priority(const NfvConfig *config, const char *name)
{
    return !strcmp(name, "vcpu-priority")     ? config->vcpu_priority :
           !strcmp(name, "iothread-priority") ? config->iothread_priority :
                                                config->emulator_priority;
}

static void assert_list(const NfvSettings *s, const char *name,
                        const char *text, const char *list)
{
    GArray *got = config_list(&s->config, name);

    g_assert_cmpstr(nfv_settings_get_list(s, list_setting(name)), ==, text);
    if (list) {
        g_assert_nonnull(got);
        assert_cpu_list(got, list);
    } else {
        g_assert_null(got);
    }
}

static void assert_priority(const NfvSettings *s, const char *name, int value)
{
    g_assert_cmpint(nfv_settings_get_priority(s, priority_setting(name)), ==,
                    value);
    g_assert_cmpint(config_priority(&s->config, name), ==, value);
}

static void assert_default(const NfvSettings *s, const char *but)
{
    static const char *const lists[] = { "vcpu-cpus", "rt-vcpus",
                                         "iothread-cpus", "housekeeping-cpus" };
    static const char *const priorities[] = { "vcpu-priority",
                                              "iothread-priority",
                                              "emulator-priority" };

    for (int i = 0; i < ARRAY_SIZE(lists); i++) {
        if (g_strcmp0(lists[i], but)) {
            assert_list(s, lists[i], "", NULL);
        }
    }
    for (int i = 0; i < ARRAY_SIZE(priorities); i++) {
        if (g_strcmp0(priorities[i], but)) {
            assert_priority(s, priorities[i], i == 0);
        }
    }
    g_assert_cmpint(s->config.rt, ==, ON_OFF_AUTO_AUTO);
    g_assert_false(s->config.vcpu_auto);
}

static void test_init(void)
{
    g_auto(NfvSettings) s;

    memset(&s, 0xa5, sizeof(s));
    nfv_settings_init(&s);
    assert_default(&s, NULL);
    g_assert_null(s.config.needs_plan);
}

/* Every one that there is, with its own place and a word on what it is. */
static void test_all(void)
{
    int lists = 0, priorities = 0;

    for (const NfvListSetting *l = nfv_list_settings; l->name; l++, lists++) {
        g_assert_cmpuint(strlen(l->description), >, 0);
        for (const NfvListSetting *m = nfv_list_settings; m < l; m++) {
            g_assert_cmpstr(l->name, !=, m->name);
            g_assert_true(l->text != m->text && l->list != m->list &&
                          l->arg != m->arg);
        }
    }
    for (const NfvPrioritySetting *p = nfv_priority_settings; p->name;
         p++, priorities++) {
        g_assert_cmpuint(strlen(p->description), >, 0);
        for (const NfvPrioritySetting *q = nfv_priority_settings; q < p; q++) {
            g_assert_cmpstr(p->name, !=, q->name);
            g_assert_true(p->value != q->value && p->has != q->has &&
                          p->arg != q->arg);
        }
    }
    g_assert_cmpint(lists, ==, 4);
    g_assert_cmpint(priorities, ==, 3);
}

static void test_list(void)
{
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        static const char *const wrong[] = { "",     "x",    "3-1",  "1:1",
                                             "8192", "1::2", "Auto", "auto " };
        g_auto(NfvSettings) s;

        g_test_message("%s", l->name);
        nfv_settings_init(&s);
        set_list(&s, l->name, "7:2-4");
        assert_list(&s, l->name, "7:2-4", "7,2-4");
        assert_default(&s, l->name);
        set_list(&s, l->name, "8191,0");
        assert_list(&s, l->name, "8191,0", "8191,0");

        for (int i = 0; i < ARRAY_SIZE(wrong); i++) {
            const char *needs_plan = s.config.needs_plan;
            Error *err = NULL;

            g_assert_false(nfv_settings_set_list(&s, l, wrong[i], &err));
            g_assert_nonnull(err);
            g_assert_true(g_str_has_prefix(error_get_pretty(err), l->name));
            error_free(err);
            assert_list(&s, l->name, "8191,0", "8191,0");
            assert_default(&s, l->name);
            g_assert_cmpstr(s.config.needs_plan, ==, needs_plan);
        }
        /* The error is not everybody's business. */
        g_assert_false(nfv_settings_set_list(&s, l, "x", NULL));
    }
}

static void test_auto(void)
{
    g_auto(NfvSettings) s;
    Error *err = NULL;

    nfv_settings_init(&s);
    set_list(&s, "vcpu-cpus", "auto");
    g_assert_true(s.config.vcpu_auto);
    assert_list(&s, "vcpu-cpus", "auto", NULL);
    g_assert_false(
        nfv_settings_set_list(&s, list_setting("vcpu-cpus"), "x", NULL));
    g_assert_true(s.config.vcpu_auto);
    assert_list(&s, "vcpu-cpus", "auto", NULL);

    set_list(&s, "vcpu-cpus", "3");
    g_assert_false(s.config.vcpu_auto);
    assert_list(&s, "vcpu-cpus", "3", "3");
    set_list(&s, "vcpu-cpus", "auto");
    g_assert_true(s.config.vcpu_auto);
    assert_list(&s, "vcpu-cpus", "auto", NULL);

    /* Of the lists only vcpu-cpus can be had by itself. */
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        if (strcmp(l->name, "vcpu-cpus")) {
            g_assert_false(nfv_settings_set_list(&s, l, "auto", &err));
            g_assert_nonnull(err);
            g_clear_pointer(&err, error_free);
            assert_list(&s, l->name, "", NULL);
        }
    }
    assert_list(&s, "vcpu-cpus", "auto", NULL);
    g_assert_true(s.config.vcpu_auto);
}

static void test_priority(void)
{
    for (const NfvPrioritySetting *p = nfv_priority_settings; p->name; p++) {
        bool is_vcpu = !strcmp(p->name, "vcpu-priority");
        /* Also those that a cast to 8 bits would let through */
        const int64_t wrong[] = {
            is_vcpu ? 0 : -1, -1, 99, 256, 257, INT64_MIN, INT64_MAX,
            (1ll << 32) + 1
        };
        g_auto(NfvSettings) s;

        g_test_message("%s", p->name);
        nfv_settings_init(&s);
        for (int value = 98; value >= is_vcpu; value--) {
            set_priority(&s, p->name, value);
            assert_priority(&s, p->name, value);
            assert_default(&s, p->name);
        }
        set_priority(&s, p->name, 42);
        s.config.needs_plan = NULL;
        for (int i = 0; i < ARRAY_SIZE(wrong); i++) {
            g_autofree char *message =
                g_strdup_printf("%s=%" PRId64 " is out of range; valid are %d "
                                              "to 98",
                                p->name, wrong[i], is_vcpu);
            Error *err = NULL;

            g_assert_false(nfv_settings_set_priority(&s, p, wrong[i], &err));
            assert_error(err, message);
            assert_priority(&s, p->name, 42);
            assert_default(&s, p->name);
            g_assert_null(s.config.needs_plan);
        }
    }
}

static void test_rt(void)
{
    g_auto(NfvSettings) s;

    nfv_settings_init(&s);
    for (OnOffAuto rt = 0; rt < ON_OFF_AUTO__MAX; rt++) {
        nfv_settings_set_rt(&s, rt);
        g_assert_cmpint(s.config.rt, ==, rt);
    }
}

/* What is idle without vcpu-cpus, named as the user does. */
static void test_needs_plan(void)
{
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        g_auto(NfvSettings) s;

        nfv_settings_init(&s);
        set_list(&s, l->name, "1");
        g_assert_cmpstr(s.config.needs_plan, ==,
                        strcmp(l->name, "vcpu-cpus") ? l->name : NULL);
    }
    for (const NfvPrioritySetting *p = nfv_priority_settings; p->name; p++) {
        g_auto(NfvSettings) s;

        nfv_settings_init(&s);
        set_priority(&s, p->name, 1);
        g_assert_cmpstr(s.config.needs_plan, ==, p->name);
    }
    for (OnOffAuto rt = 0; rt < ON_OFF_AUTO__MAX; rt++) {
        g_auto(NfvSettings) s;

        /* No real-time, or where it can be had, is what there is without. */
        nfv_settings_init(&s);
        nfv_settings_set_rt(&s, rt);
        g_assert_cmpstr(s.config.needs_plan, ==,
                        rt == ON_OFF_AUTO_ON ? "rt" : NULL);
    }
}

static void test_clear(void)
{
    NfvSettings s;

    nfv_settings_init(&s);
    for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
        set_list(&s, l->name, "1");
    }
    for (int i = 0; i < 2; i++) {
        nfv_settings_clear(&s);
        for (const NfvListSetting *l = nfv_list_settings; l->name; l++) {
            assert_list(&s, l->name, "", NULL);
        }
    }
}

/* Each can be changed and freed without the other. */
static void test_copy(void)
{
    g_auto(NfvSettings) to;
    NfvSettings from;

    nfv_settings_init(&from);
    set_list(&from, "vcpu-cpus", "2-3");
    set_list(&from, "housekeeping-cpus", "0:1");
    set_list(&from, "rt-vcpus", "0");
    set_priority(&from, "iothread-priority", 7);
    nfv_settings_set_rt(&from, ON_OFF_AUTO_ON);

    memset(&to, 0xa5, sizeof(to));
    nfv_settings_copy(&to, &from);
    for (int i = 0; i < 2; i++) {
        assert_list(&to, "vcpu-cpus", "2-3", "2-3");
        assert_list(&to, "housekeeping-cpus", "0:1", "0-1");
        assert_list(&to, "rt-vcpus", "0", "0");
        assert_list(&to, "iothread-cpus", "", NULL);
        assert_priority(&to, "vcpu-priority", 1);
        assert_priority(&to, "iothread-priority", 7);
        g_assert_cmpint(to.config.rt, ==, ON_OFF_AUTO_ON);
        g_assert_cmpstr(to.config.needs_plan, ==, "rt");

        if (i == 0) {
            set_list(&from, "vcpu-cpus", "auto");
            set_list(&from, "housekeeping-cpus", "5");
            set_priority(&from, "iothread-priority", 8);
            nfv_settings_clear(&from);
        }
    }

    nfv_settings_copy(&from, &to);
    set_list(&to, "vcpu-cpus", "6");
    assert_list(&from, "vcpu-cpus", "2-3", "2-3");
    nfv_settings_clear(&from);
    assert_list(&to, "vcpu-cpus", "6", "6");
    assert_list(&to, "housekeeping-cpus", "0:1", "0-1");
}

static void test_update(void)
{
    NfvPlacement all = { .vcpu_cpus = (char *)"4-5",
                         .rt_vcpus = (char *)"1",
                         .iothread_cpus = (char *)"2",
                         .housekeeping_cpus = (char *)"0:3",
                         .has_rt = true,
                         .rt = ON_OFF_AUTO_OFF,
                         .has_vcpu_priority = true,
                         .vcpu_priority = 11,
                         .has_iothread_priority = true,
                         .iothread_priority = 12,
                         .has_emulator_priority = true,
                         .emulator_priority = 13 };
    NfvPlacement some = { .vcpu_cpus = (char *)"auto",
                          .has_iothread_priority = true };
    /* Without has_…, a value says nothing. */
    NfvPlacement nothing = { .rt = ON_OFF_AUTO_ON,
                             .vcpu_priority = 99,
                             .emulator_priority = 50 };
    g_auto(NfvSettings) s;

    nfv_settings_init(&s);
    g_assert_true(nfv_settings_update(&s, &nothing, &error_abort));
    assert_default(&s, NULL);
    g_assert_null(s.config.needs_plan);

    g_assert_true(nfv_settings_update(&s, &all, &error_abort));
    for (int i = 0; i < 2; i++) {
        assert_list(&s, "vcpu-cpus", "4-5", "4-5");
        assert_list(&s, "rt-vcpus", "1", "1");
        assert_list(&s, "iothread-cpus", "2", "2");
        assert_list(&s, "housekeeping-cpus", "0:3", "0,3");
        assert_priority(&s, "vcpu-priority", 11);
        assert_priority(&s, "iothread-priority", 12);
        assert_priority(&s, "emulator-priority", 13);
        g_assert_cmpint(s.config.rt, ==, ON_OFF_AUTO_OFF);
        g_assert_true(nfv_settings_update(&s, &nothing, &error_abort));
    }

    /* What is absent stays. */
    g_assert_true(nfv_settings_update(&s, &some, &error_abort));
    assert_list(&s, "vcpu-cpus", "auto", NULL);
    g_assert_true(s.config.vcpu_auto);
    assert_list(&s, "housekeeping-cpus", "0:3", "0,3");
    assert_priority(&s, "vcpu-priority", 11);
    assert_priority(&s, "iothread-priority", 0);
    assert_priority(&s, "emulator-priority", 13);
    g_assert_cmpint(s.config.rt, ==, ON_OFF_AUTO_OFF);
}

static void test_update_wrong(void)
{
    static const struct {
        NfvPlacement change;
        const char *error;
    } cases[] = {
        { { .vcpu_cpus = (char *)"" }, "vcpu-cpus=''" },
        { { .rt_vcpus = (char *)"auto" }, "rt-vcpus='auto'" },
        { { .iothread_cpus = (char *)"1:1" }, "iothread-cpus='1:1'" },
        { { .housekeeping_cpus = (char *)"3-1" }, "housekeeping-cpus='3-1'" },
        { { .has_vcpu_priority = true }, "vcpu-priority=0 is out of range" },
        { { .has_iothread_priority = true, .iothread_priority = 99 },
          "iothread-priority=99 is out of range" },
        { { .has_emulator_priority = true, .emulator_priority = 255 },
          "emulator-priority=255 is out of range" },
    };

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_auto(NfvSettings) s;
        Error *err = NULL;

        nfv_settings_init(&s);
        g_assert_false(nfv_settings_update(&s, &cases[i].change, &err));
        g_assert_nonnull(err);
        assert_contains(error_get_pretty(err), cases[i].error);
        error_free(err);
        assert_default(&s, NULL);
        g_assert_null(s.config.needs_plan);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nfv/settings/init", test_init);
    g_test_add_func("/nfv/settings/all", test_all);
    g_test_add_func("/nfv/settings/list", test_list);
    g_test_add_func("/nfv/settings/auto", test_auto);
    g_test_add_func("/nfv/settings/priority", test_priority);
    g_test_add_func("/nfv/settings/rt", test_rt);
    g_test_add_func("/nfv/settings/needs-plan", test_needs_plan);
    g_test_add_func("/nfv/settings/clear", test_clear);
    g_test_add_func("/nfv/settings/copy", test_copy);
    g_test_add_func("/nfv/settings/update", test_update);
    g_test_add_func("/nfv/settings/update/wrong", test_update_wrong);
    return g_test_run();
}
