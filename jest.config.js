/** Jest runs the emitted JavaScript: what ships is what is tested. */
const project = (displayName, testMatch) => ({
  displayName,
  rootDir: import.meta.dirname ?? process.cwd(),
  testMatch,
  testEnvironment: 'node',
  transform: {},
  haste: { throwOnModuleCollision: false },
  modulePathIgnorePatterns: ['<rootDir>/build', '<rootDir>/.cache'],
});

export default {
  maxWorkers: 2,
  testTimeout: 60_000,
  projects: [
    project('unit', [
      '<rootDir>/dist/src/**/*.test.js',
      '<rootDir>/dist/test/{tidy,contract,calc,golden,cli}/**/*.test.js',
    ]),
    project('bpf', ['<rootDir>/dist/test/bpf/**/*.test.js']),
    project('kernel', ['<rootDir>/dist/test/kernel/**/*.test.js']),
    project('lab', ['<rootDir>/dist/test/lab/**/*.test.js']),
  ],
};
