// The peer of internal/aegis: the same checksum as a loop of C intrinsics, in
// the same order of operations as its assembly, to see whether the assembly
// leaves anything behind that a C compiler would not.
//
//	gcc -O3 -maes -mavx -o peer peer.c && ./peer 64 20
//
// hashes 64 MiB in memory 20 times and prints the best, the median and the
// mean speed in GB/s (10^9 bytes) and the checksum. compare.sh alternates it with the Go
// benchmark: on a machine with other work only a ratio from one run says much.

#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { __m128i s[8]; } state;

// Absorbs blocks of 32 bytes. The message word is the round key, and the old
// word is xored in when the round ends.
static void absorb(state *st, const uint8_t *p, size_t blocks) {
    __m128i s0 = st->s[0], s1 = st->s[1], s2 = st->s[2], s3 = st->s[3];
    __m128i s4 = st->s[4], s5 = st->s[5], s6 = st->s[6], s7 = st->s[7];
    for (; blocks > 0; blocks--, p += 32) {
        __m128i t0 = _mm_aesenc_si128(s7, _mm_loadu_si128((const __m128i *)p));
        __m128i t4 = _mm_aesenc_si128(s3, _mm_loadu_si128((const __m128i *)(p + 16)));
        s7 = _mm_aesenc_si128(s6, s7);
        s3 = _mm_aesenc_si128(s2, s3);
        s6 = _mm_aesenc_si128(s5, s6);
        s2 = _mm_aesenc_si128(s1, s2);
        s5 = _mm_aesenc_si128(s4, s5);
        s1 = _mm_aesenc_si128(s0, s1);
        s4 = _mm_xor_si128(t4, s4);
        s0 = _mm_xor_si128(t0, s0);
    }
    st->s[0] = s0; st->s[1] = s1; st->s[2] = s2; st->s[3] = s3;
    st->s[4] = s4; st->s[5] = s5; st->s[6] = s6; st->s[7] = s7;
}

static void checksum(const uint8_t *p, size_t size, uint8_t tag[16]) {
    static const uint8_t constants[32] = {
        0x00, 0x01, 0x01, 0x02, 0x03, 0x05, 0x08, 0x0d, 0x15, 0x22, 0x37, 0x59, 0x90, 0xe9, 0x79, 0x62,
        0xdb, 0x3d, 0x18, 0x55, 0x6d, 0xc2, 0x2f, 0xf1, 0x20, 0x11, 0x31, 0x42, 0x73, 0xb5, 0x28, 0xdd,
    };
    static const uint8_t zeros[10 * 32];
    __m128i c0 = _mm_loadu_si128((const __m128i *)constants);
    __m128i c1 = _mm_loadu_si128((const __m128i *)(constants + 16));
    __m128i zero = _mm_setzero_si128();
    state st = {{zero, c1, c0, c1, zero, c0, c1, c0}};
    absorb(&st, zeros, 10);

    absorb(&st, p, size / 32);
    if (size % 32 != 0) {
        uint8_t last[32] = {0};
        memcpy(last, p + size - size % 32, size % 32);
        absorb(&st, last, 1);
    }

    __m128i words[14];
    __m128i word = _mm_xor_si128(st.s[2], _mm_set_epi64x(0, (long long)((uint64_t)size * 8)));
    for (int i = 0; i < 14; i++) words[i] = word;
    absorb(&st, (const uint8_t *)words, 7);
    __m128i sum = st.s[0];
    for (int i = 1; i < 7; i++) sum = _mm_xor_si128(sum, st.s[i]);
    _mm_storeu_si128((__m128i *)tag, sum);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

int main(int argc, char **argv) {
    long mib = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
    long runs = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (mib < 1 || mib > 4096 || runs < 1 || runs > 100000) {
        fprintf(stderr, "usage: peer MIB RUNS (1 to 4096, 1 to 100000)\n");
        return 2;
    }
    size_t size = (size_t)mib << 20;
    uint8_t *p = malloc(size);
    double *speeds = malloc((size_t)runs * sizeof *speeds);
    if (p == NULL || speeds == NULL) {
        fprintf(stderr, "peer: out of memory\n");
        return 1;
    }
    for (size_t i = 0; i < size; i++) p[i] = (uint8_t)(i * 7 + 3);

    uint8_t tag[16];
    double total = 0;
    for (long i = 0; i < runs; i++) {
        double start = now();
        checksum(p, size, tag);
        double seconds = now() - start;
        total += seconds;
        speeds[i] = (double)size / seconds / 1e9;
    }
    qsort(speeds, (size_t)runs, sizeof *speeds, descending);
    double mean = (double)size * (double)runs / total / 1e9;
    printf("best %.2f median %.2f mean %.2f GB/s checksum ", speeds[0], speeds[runs / 2], mean);
    for (int i = 0; i < 16; i++) printf("%02x", tag[i]);
    printf("\n");
    return 0;
}
