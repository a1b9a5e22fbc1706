// A React Native screen. One client for the app, made when the user has signed in; one set of list props for each list.
// useFocusEffect is React Navigation's; another router has its like. Without a router:
//   useEffect(() => (views.showAgain(), views.hideAll), [views]);

import { asyncStorage, createImpressions, listViews } from "@impressions/client/react-native";
import AsyncStorage from "@react-native-async-storage/async-storage";
import NetInfo from "@react-native-community/netinfo";
import { useFocusEffect } from "@react-navigation/native";
import { useCallback, useEffect, useState } from "react";
import { AppState, FlatList, Text } from "react-native";

export function startImpressions(userId, getToken) {
  return createImpressions({
    endpoint: "https://api.example.com/graphql",
    userId,
    getToken,
    appState: AppState,
    netInfo: NetInfo,
    storage: asyncStorage(AsyncStorage),
  });
}

export function FeedScreen({ impressions, posts }) {
  const [views] = useState(() =>
    listViews(impressions, {
      appState: AppState,
      postIdOf: (post) => post.id,
      detailsOf: () => ({ surface: "HOME" }),
    }),
  );
  useEffect(() => views.stop, [views]);
  // A list that is emptied does not report it.
  useEffect(() => views.itemsChanged(posts), [views, posts]);
  // Another screen, or another tab, comes in front and goes again.
  useFocusEffect(
    useCallback(() => {
      views.showAgain();
      return views.hideAll;
    }, [views]),
  );
  return (
    <FlatList
      data={posts}
      keyExtractor={(post) => post.id}
      renderItem={({ item }) => <Text>{item.title}</Text>}
      viewabilityConfigCallbackPairs={views.viewabilityConfigCallbackPairs}
    />
  );
}
