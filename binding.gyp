# A plain `npm install` runs node-gyp where it finds this file; the work is CMake's.
{
  "targets": [
    {
      "target_name": "margay_native",
      "type": "none",
      "actions": [
        {
          "action_name": "build_native",
          "inputs": ["CMakeLists.txt", "native/addon.cc"],
          "outputs": ["build/Release/margay_native.node"],
          "action": ["node", "scripts/build-native.mjs"]
        }
      ]
    }
  ]
}
