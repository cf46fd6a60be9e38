/*
 * nfv-pulse: its registers, its interrupts, what it counts, and how it moves
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/ends.h"
#include "nfv/process.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"

#define DEVICE "-device nfv-pulse,id=pulse,addr=5"

enum {
    SLOT = 5,
    BAR = 0xe0000000,
    REG_ID = 0x00,
    REG_CONTROL = 0x04,
    REG_PERIOD = 0x08,
    REG_PULSE = 0x0c,
    REG_ANSWER = 0x10,

    PERIOD_NS = 1000 * 1000,
    MSI_AT = 0x200000,          /* RAM, where it can be looked at */
    MSI_DATA = 0x4321,
    IOAPIC_LINES = 24,
};

static void select_register(QTestState *qts, unsigned at)
{
    qtest_outl(qts, 0xcf8, 0x80000000 | SLOT << 11 | (at & ~3));
}

static uint32_t get_config(QTestState *qts, unsigned at)
{
    select_register(qts, at);
    return qtest_inl(qts, 0xcfc);
}

static void put_config(QTestState *qts, unsigned at, uint32_t value)
{
    select_register(qts, at);
    qtest_outl(qts, 0xcfc, value);
}

static void map_device(QTestState *qts)
{
    g_assert_cmphex(get_config(qts, PCI_VENDOR_ID), ==, 0x4e461234);
    put_config(qts, PCI_BASE_ADDRESS_0, BAR);
    put_config(qts, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static QTestState *start(const char *options)
{
    QTestState *qts = qtest_initf("-M q35 %s%s", DEVICE, options);

    map_device(qts);
    return qts;
}

static unsigned msi_capability(QTestState *qts)
{
    unsigned at = get_config(qts, PCI_CAPABILITY_LIST) & 0xfc;

    while ((get_config(qts, at) & 0xff) != PCI_CAP_ID_MSI) {
        at = get_config(qts, at) >> 8 & 0xfc;
        g_assert_cmpuint(at, !=, 0);
    }
    return at;
}

static void msi_on(QTestState *qts, uint32_t address)
{
    unsigned at = msi_capability(qts);

    put_config(qts, at + PCI_MSI_ADDRESS_LO, address);
    put_config(qts, at + PCI_MSI_ADDRESS_HI, 0);
    put_config(qts, at + PCI_MSI_DATA_64, MSI_DATA);
    put_config(qts, at, get_config(qts, at) | PCI_MSI_FLAGS_ENABLE << 16);
}

static uint32_t get(QTestState *qts, unsigned reg)
{
    return qtest_readl(qts, BAR + reg);
}

static void put(QTestState *qts, unsigned reg, uint32_t value)
{
    qtest_writel(qts, BAR + reg, value);
}

static void periods(QTestState *qts, unsigned count)
{
    qtest_clock_step(qts, (int64_t)count * PERIOD_NS);
}

static QDict *property(QTestState *qts, const char *name)
{
    QDict *response = qtest_qmp(qts,
                                "{ 'execute': 'qom-get', 'arguments': { "
                                "'path': '/machine/peripheral/pulse', "
                                "'property': %s } }", name);

    g_assert(qdict_haskey(response, "return"));
    return response;
}

static uint64_t number(QTestState *qts, const char *name)
{
    QDict *response = property(qts, name);
    uint64_t value = qnum_get_uint(qobject_to(QNum,
                                              qdict_get(response, "return")));

    qobject_unref(response);
    return value;
}

/* How much a histogram has counted; its times ascend. */
static uint64_t counted(QTestState *qts, const char *name)
{
    QDict *response = property(qts, name);
    const QListEntry *entry = qlist_first(qdict_get_qlist(response, "return"));
    uint64_t last = 0, total = 0;

    for (bool first = true; entry; first = false) {
        uint64_t ns = qnum_get_uint(qobject_to(QNum, qlist_entry_obj(entry)));

        g_assert(first || ns > last);
        last = ns;
        entry = qlist_next(entry);
        g_assert(entry);
        total += qnum_get_uint(qobject_to(QNum, qlist_entry_obj(entry)));
        entry = qlist_next(entry);
    }
    qobject_unref(response);
    return total;
}

static void check_numbers(QTestState *qts, uint64_t raises, uint64_t answers,
                          uint64_t missed, uint64_t spurious)
{
    g_assert_cmpuint(number(qts, "raises"), ==, raises);
    g_assert_cmpuint(number(qts, "answers"), ==, answers);
    g_assert_cmpuint(number(qts, "missed"), ==, missed);
    g_assert_cmpuint(number(qts, "spurious"), ==, spurious);
    g_assert_cmpuint(counted(qts, "latency"), ==, answers);
    g_assert_cmpuint(counted(qts, "lateness"), ==, raises);
}

static bool line_active(QTestState *qts)
{
    for (int i = 0; i < IOAPIC_LINES; i++) {
        if (qtest_get_irq(qts, i)) {
            return true;
        }
    }
    return false;
}

static void test_registers(void)
{
    QTestState *qts = start(",period=250");

    g_assert_cmphex(get(qts, REG_ID), ==, 0x4e465001);
    g_assert_cmpuint(get(qts, REG_PERIOD), ==, 250);
    put(qts, REG_ID, 0);
    put(qts, REG_PERIOD, 1);
    put(qts, REG_PULSE, 77);
    g_assert_cmphex(get(qts, REG_ID), ==, 0x4e465001);
    g_assert_cmpuint(get(qts, REG_PERIOD), ==, 250);
    g_assert_cmpuint(get(qts, REG_PULSE), ==, 0);
    put(qts, REG_CONTROL, 0xfffffffe);
    g_assert_cmphex(get(qts, REG_CONTROL), ==, 0);
    put(qts, REG_CONTROL, 0xffffffff);
    g_assert_cmphex(get(qts, REG_CONTROL), ==, 1);
    for (unsigned reg = REG_ANSWER; reg < 4096; reg += 4) {
        g_assert_cmphex(get(qts, reg), ==, 0);
        if (reg > REG_ANSWER) {
            put(qts, reg, 0xffffffff);
        }
    }
    check_numbers(qts, 0, 0, 0, 0);
    qtest_quit(qts);
}

static void test_msi(void)
{
    QTestState *qts = start("");

    msi_on(qts, MSI_AT);
    periods(qts, 2);
    check_numbers(qts, 0, 0, 0, 0);
    put(qts, REG_CONTROL, 1);
    periods(qts, 1);
    g_assert_cmphex(qtest_readl(qts, MSI_AT), ==, MSI_DATA);
    g_assert_cmpuint(get(qts, REG_PULSE), ==, 1);
    check_numbers(qts, 1, 0, 0, 0);

    /* The second is missed, and must not move the begin of the first. */
    qtest_writel(qts, MSI_AT, 0);
    periods(qts, 1);
    g_assert_cmphex(qtest_readl(qts, MSI_AT), ==, 0);
    check_numbers(qts, 1, 0, 1, 0);
    put(qts, REG_ANSWER, 0);
    g_assert_cmpuint(get(qts, REG_PULSE), ==, 0);
    check_numbers(qts, 1, 1, 1, 0);
    g_assert_cmpuint(number(qts, "latency-max"), >, 0);
    g_assert_cmpuint(number(qts, "latency-min"), ==,
                     number(qts, "latency-max"));
    put(qts, REG_ANSWER, 0);
    check_numbers(qts, 1, 1, 1, 1);

    periods(qts, 1);
    g_assert_cmphex(qtest_readl(qts, MSI_AT), ==, MSI_DATA);
    g_assert_cmpuint(get(qts, REG_PULSE), ==, 2);
    qtest_quit(qts);
}

static void test_intx(void)
{
    QTestState *qts = start("");

    qtest_irq_intercept_in(qts, "ioapic");
    put(qts, REG_CONTROL, 1);
    g_assert_false(line_active(qts));
    periods(qts, 1);
    g_assert_true(line_active(qts));
    put(qts, REG_ANSWER, 0);
    g_assert_false(line_active(qts));

    /* What switches it off, or to MSI, must not leave it active. */
    periods(qts, 1);
    g_assert_true(line_active(qts));
    put(qts, REG_CONTROL, 0);
    g_assert_false(line_active(qts));
    put(qts, REG_CONTROL, 1);
    periods(qts, 1);
    g_assert_true(line_active(qts));
    msi_on(qts, MSI_AT);
    put(qts, REG_ANSWER, 0);
    g_assert_false(line_active(qts));
    qtest_quit(qts);
}

static void test_off_and_reset(void)
{
    QTestState *qts = start("");

    put(qts, REG_CONTROL, 1);
    periods(qts, 1);
    put(qts, REG_CONTROL, 0);
    periods(qts, 5);
    check_numbers(qts, 1, 0, 0, 0);
    put(qts, REG_ANSWER, 0);
    check_numbers(qts, 1, 0, 0, 1);

    put(qts, REG_CONTROL, 1);
    qtest_system_reset(qts);
    map_device(qts);
    g_assert_cmphex(get(qts, REG_CONTROL), ==, 0);
    periods(qts, 5);
    check_numbers(qts, 1, 0, 0, 1);
    qtest_quit(qts);
}

/* A guest that has its interrupts sent to the register that answers them. */
static void test_msi_to_itself(void)
{
    QTestState *qts = start("");

    msi_on(qts, BAR + REG_ANSWER);
    put(qts, REG_CONTROL, 1);
    periods(qts, 3);
    check_numbers(qts, 3, 3, 0, 0);
    msi_on(qts, BAR + REG_CONTROL);
    periods(qts, 3);
    g_assert_cmphex(get(qts, REG_CONTROL), ==, MSI_DATA & 1);
    qtest_quit(qts);
}

static void test_bad_period(void)
{
    const char *const bad[] = { "0", "9", "10000001", "4294967295" };

    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autofree char *output = NULL;
        g_autofree char *words =
            g_strdup_printf("period=%s: must be 10 to 10000000 microseconds",
                            bad[i]);

        g_assert_cmpint(nfv_test_run(&output,
                                     "-M q35 -display none -device "
                                     "nfv-pulse,period=%s", bad[i]), ==, 1);
        g_assert_nonnull(strstr(output, words));
    }
}

static void test_unplug(void)
{
    QTestState *qts = qtest_init("-M q35 -device pcie-root-port,id=rp");

    qtest_qmp_device_add(qts, "nfv-pulse", "pulse", "{ 'bus': 'rp' }");
    qtest_qmp_device_del_send(qts, "pulse");
    qtest_system_reset_nowait(qts);
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    qtest_clock_step(qts, 10 * PERIOD_NS);
    qtest_quit(qts);
}

static void test_migration(void)
{
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *path = nfv_ends_path(ends, "socket");
    g_autofree char *uri = g_strdup_printf("unix:%s", path);

    ends->from = nfv_ends_start(ends, "from", false, NULL, DEVICE);
    ends->to = nfv_ends_start(ends, "to", false, NULL,
                              DEVICE ",period=77 -incoming defer");
    map_device(ends->from);
    msi_on(ends->from, MSI_AT);
    put(ends->from, REG_CONTROL, 1);
    for (int i = 0; i < 3; i++) {
        periods(ends->from, 1);
        put(ends->from, REG_ANSWER, 0);
    }
    periods(ends->from, 2);
    check_numbers(ends->from, 4, 3, 1, 0);

    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_qmp(ends->from, ends->to, uri, NULL, "{}");
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);

    check_numbers(ends->to, 4, 3, 1, 0);
    g_assert_cmpuint(get(ends->to, REG_PERIOD), ==, 1000);
    g_assert_cmpuint(get(ends->to, REG_PULSE), ==, 4);
    put(ends->to, REG_ANSWER, 0);
    check_numbers(ends->to, 4, 4, 1, 0);
    periods(ends->to, 1);
    g_assert_cmphex(qtest_readl(ends->to, MSI_AT), ==, MSI_DATA);
    check_numbers(ends->to, 5, 4, 1, 0);
}

/* A stream whose period is another, which the file has once. */
static void test_hostile_stream(const void *opaque)
{
    const uint8_t good[] = { 0x00, 0x89, 0xab, 0xcd };
    const char *device = DEVICE ",period=9022413";
    uint32_t period = GPOINTER_TO_UINT(opaque);
    g_autoptr(NfvEnds) ends = nfv_ends_new();
    g_autofree char *path = nfv_ends_path(ends, "stream");
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    g_autofree char *incoming = g_strconcat(device, " -incoming defer", NULL);
    g_autofree char *stream = NULL;
    gsize length;
    char *at;

    ends->from = nfv_ends_start(ends, "from", false, NULL, device);
    migrate_qmp(ends->from, NULL, uri, NULL, "{}");
    wait_for_migration_complete(ends->from);
    g_assert_true(g_file_get_contents(path, &stream, &length, NULL));
    at = memmem(stream, length, good, sizeof(good));
    g_assert_nonnull(at);
    stl_be_p(at, period);
    g_assert_null(memmem(stream, length, good, sizeof(good)));
    g_assert_true(g_file_set_contents(path, stream, length, NULL));

    ends->to = nfv_ends_start(ends, "to", false, NULL, incoming);
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    nfv_ends_expect_refusal(ends, "nfv-pulse");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("nfv/pulse/registers", test_registers);
    qtest_add_func("nfv/pulse/msi", test_msi);
    qtest_add_func("nfv/pulse/intx", test_intx);
    qtest_add_func("nfv/pulse/off-and-reset", test_off_and_reset);
    qtest_add_func("nfv/pulse/msi-to-itself", test_msi_to_itself);
    qtest_add_func("nfv/pulse/bad-period", test_bad_period);
    qtest_add_func("nfv/pulse/unplug", test_unplug);
    qtest_add_func("nfv/pulse/migration", test_migration);
    qtest_add_data_func("nfv/pulse/hostile/period-0", GUINT_TO_POINTER(0),
                        test_hostile_stream);
    qtest_add_data_func("nfv/pulse/hostile/period-huge",
                        GUINT_TO_POINTER(UINT32_MAX), test_hostile_stream);
    return g_test_run();
}
