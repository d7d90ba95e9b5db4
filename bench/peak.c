/*
 * How many floating-point operations a second can one thread of this machine do, at the very most?
 *
 *     cc -O3 -march=native -o peak bench/peak.c && ./peak
 *
 * Fused multiply-adds on registers, more chains than the units need to stay busy, nothing read from
 * memory; the chains begin apart, or the compiler would run one for all. Prints the best of five, in operations per CPU-second; a multiply-add counts as two.
 */

#include <stdio.h>
#include <time.h>

#ifdef __AVX512F__
#define WIDTH 16
#define CHAINS 24
#elif defined __AVX__
#define WIDTH 8
#define CHAINS 12
#else
#define WIDTH 4
#define CHAINS 24
#endif

typedef float vec __attribute__((vector_size(4 * WIDTH)));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(void) {
  const long steps = 4000000;
  double best = 0;
  float seen = 0;
  for (int repeat = 0; repeat < 5; repeat++) {
    vec chain[CHAINS], factor, summand;
    for (int j = 0; j < WIDTH; j++) factor[j] = 0.999f + seen * 1e-30f, summand[j] = 0.001f;
    for (int i = 0; i < CHAINS; i++) chain[i] = factor * (float)(i + 1);
    double start = now();
    for (long step = 0; step < steps; step++)
#pragma GCC unroll 24
      for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * factor + summand;
    double rate = 2.0 * WIDTH * CHAINS * steps / (now() - start);
    for (int i = 0; i < CHAINS; i++) seen += chain[i][0];
    if (rate > best) best = rate;
  }
  printf("%.0f\n", best);
  return seen == 12345.678f;
}
