/* A stand-in for libnvidia-ml.so.1: the functions that nvidia-ml-py calls for Pocket3DStudio, answering from the text
 * file $FAKE_NVML_STATE, which is read again at every call:
 *
 *   init <code>                                                  what nvmlInit answers
 *   no_memory_v2                                                 an old driver
 *   procs_error <code>                                           what the process list answers
 *   gpu <index> <uuid> <name> <total> <reserved> <used> <open error> <read error>     sizes in bytes
 *   mig <gpu> <slot> <uuid> <total> <used>                       puts the GPU in MIG mode
 *   proc <uuid> <pid> <bytes, -1 for unknown>
 *   hang <uuid>                                                  its memory, and opening it, answer when this line is gone
 *   no_memory <uuid>                                             it tells no memory figures
 *   capability <uuid> <major> <minor>
 *   ecc <uuid> <uncorrected errors>                              without this line: not supported
 *   remapped <uuid> <pending> <failed>                           without this line: not supported
 *   xid <uuid> <number>                                          one event each, in the order of the lines
 *
 * As the real one, a GPU that answered GPU_IS_LOST (15) stays lost until the library is shut down and started again.
 * Each start and shutdown adds a line to $FAKE_NVML_STATE.calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long u64;
typedef struct { int gpu; int slot; } handle_t; /* slot -1: the GPU itself */
typedef struct { char uuid[96]; char name[96]; u64 total, reserved, used; int open_error, read_error; } gpu_t;

static handle_t handles[16][9];
static int lost[16];
static int running = 0;

static FILE *state(void) { return fopen(getenv("FAKE_NVML_STATE"), "r"); }

static void call(const char *what) {
    char path[4096];
    snprintf(path, sizeof path, "%s.calls", getenv("FAKE_NVML_STATE"));
    FILE *f = fopen(path, "a");
    if (f) { fprintf(f, "%s\n", what); fclose(f); }
}

static int number(const char *key, int otherwise) {
    char line[512]; int value = otherwise, n = (int)strlen(key);
    FILE *f = state();
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, n) && (line[n] == ' ' || line[n] == '\n')) { value = 1; sscanf(line + n, "%d", &value); }
    if (f) fclose(f);
    return value;
}

static int find(int gpu, int slot, gpu_t *out) {
    char line[512]; int found = 0;
    FILE *f = state();
    memset(out, 0, sizeof *out);
    while (f && !found && fgets(line, sizeof line, f)) {
        int index, place; gpu_t g; memset(&g, 0, sizeof g);
        if (slot < 0 && sscanf(line, "gpu %d %95s %95s %llu %llu %llu %d %d", &index, g.uuid, g.name, &g.total,
                               &g.reserved, &g.used, &g.open_error, &g.read_error) == 8 && index == gpu) {
            *out = g; found = 1;
        }
        if (slot >= 0 && sscanf(line, "mig %d %d %95s %llu %llu", &index, &place, g.uuid, &g.total, &g.used) == 5
            && index == gpu && place == slot) {
            strcpy(g.name, "MIG-instance"); *out = g; found = 1;
        }
    }
    if (f) fclose(f);
    return found;
}

static int count(void) {
    char line[512]; int n = 0;
    FILE *f = state();
    while (f && fgets(line, sizeof line, f)) if (!strncmp(line, "gpu ", 4)) n++;
    if (f) fclose(f);
    return n;
}

/* The numbers after the `at`-th line `<key> <uuid>`; how many there are, or -1 without such a line. */
static int about(const char *key, const char *uuid, int at, int *a, int *b) {
    char line[512], word[64], of[96]; int found = -1;
    FILE *f = state();
    while (f && found < 0 && fgets(line, sizeof line, f)) {
        int x = 0, y = 0, n = sscanf(line, "%63s %95s %d %d", word, of, &x, &y);
        if (n >= 2 && !strcmp(word, key) && !strcmp(of, uuid) && at-- == 0) { *a = x; *b = y; found = n - 2; }
    }
    if (f) fclose(f);
    return found;
}

static void hang(handle_t *h) {
    gpu_t g; int a, b;
    while (find(h->gpu, h->slot, &g) && about("hang", g.uuid, 0, &a, &b) >= 0) usleep(2000);
}

static int use(handle_t *h, gpu_t *g) {
    hang(h);
    if (!running) return 1;
    if (lost[h->gpu]) return 15;
    if (!find(h->gpu, h->slot, g)) return 6;
    if (g->read_error == 15) lost[h->gpu] = 1;
    return g->read_error;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = number("init", 0);
    call("init");
    if (code) return code;
    memset(lost, 0, sizeof lost);
    running = 1;
    return 0;
}
int nvmlShutdown(void) { call("shutdown"); if (!running) return 1; running = 0; return 0; }
const char *nvmlErrorString(int code) {
    static char text[64];
    snprintf(text, sizeof text, code == 15 ? "GPU is lost" : "fake error %d", code);
    return text;
}
int nvmlDeviceGetCount_v2(unsigned *n) { if (!running) return 1; *n = (unsigned)count(); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, handle_t **h) {
    gpu_t g;
    if (!running) return 1;
    if (!find((int)index, -1, &g)) return 2;
    if (g.open_error) return g.open_error;
    handles[index][0].gpu = (int)index; handles[index][0].slot = -1;
    *h = &handles[index][0];
    hang(*h);
    return 0;
}
int nvmlDeviceGetUUID(handle_t *h, char *text, unsigned n) {
    gpu_t g; if (!find(h->gpu, h->slot, &g)) return 6;
    snprintf(text, n, "%s", g.uuid); return 0;
}
int nvmlDeviceGetName(handle_t *h, char *text, unsigned n) {
    gpu_t g; if (!find(h->gpu, h->slot, &g)) return 6;
    snprintf(text, n, "%s", g.name); return 0;
}
int nvmlDeviceGetMemoryInfo(handle_t *h, u64 *out) {
    gpu_t g; int a, b, code = use(h, &g); if (code) return code;
    if (about("no_memory", g.uuid, 0, &a, &b) >= 0) return 3;
    out[0] = g.total; out[1] = g.total - g.reserved - g.used; out[2] = g.used + g.reserved; return 0;
}
int nvmlDeviceGetMemoryInfo_v2(handle_t *h, u64 *out) {
    gpu_t g; int a, b, code = use(h, &g);
    if (number("no_memory_v2", 0)) return 13;
    if (code) return code;
    if (about("no_memory", g.uuid, 0, &a, &b) >= 0) return 3;
    if (*(unsigned *)out != 0x02000028) return 25;
    out[1] = g.total; out[2] = g.reserved; out[3] = g.total - g.reserved - g.used; out[4] = g.used; return 0;
}
int nvmlDeviceGetMigMode(handle_t *h, unsigned *current, unsigned *pending) {
    gpu_t g; int slot, any = 0;
    for (slot = 0; slot < 8; slot++) any |= find(h->gpu, slot, &g);
    if (!any) return 3;
    *current = *pending = 1; return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(handle_t *h, unsigned *n) { (void)h; *n = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(handle_t *h, unsigned slot, handle_t **out) {
    gpu_t g; if (!find(h->gpu, (int)slot, &g)) return 6;
    handles[h->gpu][slot + 1].gpu = h->gpu; handles[h->gpu][slot + 1].slot = (int)slot;
    *out = &handles[h->gpu][slot + 1]; return 0;
}
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } process_t;
int nvmlDeviceGetComputeRunningProcesses_v3(handle_t *h, unsigned *n, process_t *out) {
    char line[512], uuid[96]; unsigned pid, found = 0; long long used; gpu_t g;
    int code = number("procs_error", 0);
    if (!code) code = use(h, &g);
    if (code) return code;
    FILE *f = state();
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "proc %95s %u %lld", uuid, &pid, &used) == 3 && !strcmp(uuid, g.uuid)) {
            if (out && found < *n) { out[found].pid = pid; out[found].used = (u64)used; }
            found++;
        }
    if (f) fclose(f);
    code = found > (out ? *n : 0) ? 7 : 0;
    *n = found;
    return code;
}
int nvmlDeviceGetCudaComputeCapability(handle_t *h, int *major, int *minor) {
    gpu_t g; if (!find(h->gpu, h->slot, &g)) return 6;
    return about("capability", g.uuid, 0, major, minor) < 0 ? 3 : 0;
}
int nvmlDeviceGetTotalEccErrors(handle_t *h, int type, int counter, u64 *out) {
    gpu_t g; int n, b; if (!find(h->gpu, h->slot, &g)) return 6;
    if (type != 1 || counter != 0) return 2;
    if (about("ecc", g.uuid, 0, &n, &b) < 0) return 3;
    *out = (u64)n; return 0;
}
int nvmlDeviceGetRemappedRows(handle_t *h, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    gpu_t g; int a, b; if (!find(h->gpu, h->slot, &g)) return 6;
    if (about("remapped", g.uuid, 0, &a, &b) < 0) return 3;
    *corrected = *uncorrected = 0; *pending = (unsigned)a; *failed = (unsigned)b; return 0;
}
typedef struct { handle_t *of; int told; } events_t;
int nvmlEventSetCreate(events_t **set) { *set = calloc(1, sizeof **set); return 0; }
int nvmlDeviceRegisterEvents(handle_t *h, u64 types, events_t *set) { if (types != 8) return 2; set->of = h; return 0; }
int nvmlEventSetWait_v2(events_t *set, void *out, unsigned timeout) {
    struct { handle_t *device; u64 type, data; unsigned gpu_instance, compute_instance; } *event = out;
    gpu_t g; int xid, b; (void)timeout;
    if (!find(set->of->gpu, set->of->slot, &g)) return 15;
    if (about("xid", g.uuid, set->told, &xid, &b) < 0) return 10;
    set->told++; event->device = set->of; event->type = 8; event->data = (u64)xid; return 0;
}
